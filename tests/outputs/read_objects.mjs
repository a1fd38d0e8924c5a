// DuckDB over downloaded objects, partitions by their directories:    node read_objects.mjs TOOLS-DIRECTORY DIRECTORY
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const [tools, directory] = process.argv.slice(2).map((path) => resolve(path));
const { DuckDBInstance } = createRequire(join(tools, 'package.json'))('@duckdb/node-api');
const database = await (await DuckDBInstance.create(':memory:')).connect();
const glob = `${directory}/date=*/hour=*/*.ndjson.gz`.replaceAll("'", "''");
const [row] = (await database.runAndReadAll(`SELECT count(*)::INT AS rows, sum(n)::INT AS n, count(DISTINCT (date, hour))::INT AS hours
  FROM read_json('${glob}', format = 'newline_delimited', hive_partitioning = true)`)).getRowObjectsJson();
process.stdout.write(JSON.stringify(row));
