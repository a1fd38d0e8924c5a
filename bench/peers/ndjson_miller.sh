#!/bin/sh
# ndjson_miller.sh FILE GROUP
set -eu
exec mlr --ijsonl --ojsonl put -q '
  start = sec2gmt($timestamp // 60000 * 60);
  name = $['"\"$2\""'];
  @n[start][name] += 1;
  @sum[start][name] += $amount;
  @min[start][name] = min(@min[start][name], $amount);
  @max[start][name] = max(@max[start][name], $amount);
  end {
    emit (@n, @sum, @min, @max), "window_start", "'"$2"'";
  }' "$1"
