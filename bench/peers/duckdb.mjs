// DuckDB on the same bytes: the query alone is timed, from the file to the rows written.
//     node duckdb.mjs TOOLS FORMAT INPUT GROUP ROWS [THREADS [COLUMNS]]
// FORMAT: events, or ndjson (payloads). COLUMNS: few (the window's start, the group, the aggregates), or ours: every one that
// a row of ours has, shard and sequence numbers as constants, since DuckDB knows of none.
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const [tools, format, input, groupBy, rows, threads = '1', columns = 'few'] = process.argv.slice(2);
const { DuckDBInstance } = createRequire(join(resolve(tools), 'package.json'))('@duckdb/node-api');
const database = await (await DuckDBInstance.create(':memory:')).connect();
await database.run(`SET threads = ${Number(threads)}`);
await database.run('SET preserve_insertion_order = false');

const quote = (text) => `'${text.replaceAll("'", "''")}'`;
const records = format === 'events'
  ? `SELECT record.kinesis.approximateArrivalTimestamp * 1000 AS ms,
            json_transform(decode(from_base64(record.kinesis.data)), '{"${groupBy}":"VARCHAR","amount":"DOUBLE"}') AS payload
     FROM (SELECT unnest(Records) AS record
           FROM read_json(${quote(input)}, format = 'newline_delimited', maximum_object_size = 16777216,
                columns = {Records: 'STRUCT(kinesis STRUCT(data VARCHAR, "approximateArrivalTimestamp" DOUBLE))[]'}))`
  : `SELECT timestamp AS ms, {'${groupBy}': "${groupBy}", 'amount': amount} AS payload
     FROM read_json(${quote(input)}, format = 'newline_delimited',
          columns = {timestamp: 'BIGINT', "${groupBy}": 'VARCHAR', amount: 'DOUBLE'})`;
const time = (ms) => `strftime(epoch_ms(${ms}), '%Y-%m-%dT%H:%M:%SZ')`;
const [head, tail] = columns === 'ours'
  ? [`, ${time('window_ms + 60000')} AS window_end, 'shardId-000000000000' AS shard_id,
      '49590338271490256608559692500000000000000000000001768478' AS fragment,
      '49590338271490256608559692500000000000000000100020565856' AS last_sequence`, ', n AS records']
  : ['', ''];
const query = `SELECT ${time('window_ms')} AS window_start${head}, * EXCLUDE (window_ms)${tail}
  FROM (SELECT (ms::BIGINT // 60000) * 60000 AS window_ms, payload."${groupBy}" AS "${groupBy}", count(*) AS n,
               sum(payload.amount) AS sum, min(payload.amount) AS min, max(payload.amount) AS max
        FROM (${records}) GROUP BY ALL)`;
const before = process.hrtime.bigint();
const cpu = process.cpuUsage();
await database.run(`COPY (${query}) TO ${quote(rows)} (FORMAT json)`);
const used = process.cpuUsage(cpu);
console.log(JSON.stringify({ seconds: Number(process.hrtime.bigint() - before) / 1e9, cpu_seconds: (used.user + used.system) / 1e6 }));
