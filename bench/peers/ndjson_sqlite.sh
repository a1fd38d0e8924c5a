#!/bin/sh
# Lines into a table, and its JSON functions from there: ndjson_sqlite.sh FILE GROUP
set -eu
sqlite3 :memory: <<SQL
CREATE TABLE lines (line TEXT);
.mode ascii
.separator "\037" "\n"
.import '$1' lines
.mode list
SELECT json_object('window_start', strftime('%Y-%m-%dT%H:%M:%SZ', start, 'unixepoch'), '$2', name, 'n', n, 'sum', total, 'min', low, 'max', high)
FROM (SELECT json_extract(line, '\$.timestamp') / 60000 * 60 AS start, json_extract(line, '\$.$2') AS name, count(*) AS n,
             sum(json_extract(line, '\$.amount')) AS total, min(json_extract(line, '\$.amount')) AS low, max(json_extract(line, '\$.amount')) AS high
      FROM lines GROUP BY 1, 2);
SQL
