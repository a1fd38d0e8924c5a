// DuckDB and tumble over the same bytes: counts, sums (DECIMAL), minima and maxima of every window and group must agree.
//     node compare.mjs TUMBLE GENERATE TOOLS-DIRECTORY
import { spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, rmSync, closeSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const [tumble, generate, tools] = process.argv.slice(2).map((path) => resolve(path));
const { DuckDBInstance } = createRequire(join(tools, 'package.json'))('@duckdb/node-api');
const work = mkdtempSync(join(tmpdir(), 'tumble-duckdb-'));
const database = await (await DuckDBInstance.create(':memory:')).connect();

// Runs a command into a file.
function run(command, args, into) {
  const out = openSync(into, 'w');
  const done = spawnSync(command, args, { stdio: ['ignore', out, 'pipe'] });
  closeSync(out);
  if (done.status !== 0) {
    throw new Error(`${command} ${args.join(' ')}: exit ${done.status ?? done.signal}\n${done.stderr}`);
  }
}

async function query(sql) {
  return (await database.runAndReadAll(sql)).getRowObjectsJson();
}

const quote = (path) => `'${path.replaceAll("'", "''")}'`;

// Compares tumble's rows with DuckDB's answer over `records`, a query that gives ms, k and v (the field) of each record.
async function compare(name, field, seconds, records, args) {
  const rows = join(work, 'rows.ndjson');
  run(tumble, ['replay', '--window', `${seconds}`, '--format', 'ndjson', '--aggregate', 'n=count()', '--aggregate', `numbers=count(${field})`,
    '--aggregate', `total=sum(${field})`, '--aggregate', `low=min(${field})`, '--aggregate', `high=max(${field})`, ...args], rows);
  await query(`CREATE OR REPLACE TABLE wanted AS
    SELECT strftime(epoch_ms((ms // (${seconds} * 1000)) * (${seconds} * 1000)), '%Y-%m-%dT%H:%M:%SZ') AS window_start, k,
           count(*) AS n, count(v) AS numbers, sum(v)::DECIMAL(38,9) AS total, min(v) AS low, max(v) AS high
    FROM (${records}) GROUP BY ALL`);
  // Several shards give several rows a window and group: they merge by adding.
  await query(`CREATE OR REPLACE TABLE got AS
    SELECT window_start, k, sum(n) AS n, sum(numbers) AS numbers, sum(total::VARCHAR::DECIMAL(38,9)) AS total,
           min(low::VARCHAR::DECIMAL(38,9)) AS low, max(high::VARCHAR::DECIMAL(38,9)) AS high
    FROM read_json(${quote(rows)}, format = 'newline_delimited', columns = {window_start: 'VARCHAR', k: 'VARCHAR', n: 'BIGINT',
                   numbers: 'BIGINT', total: 'JSON', low: 'JSON', high: 'JSON'}) GROUP BY ALL`);
  const [{ wanted }] = await query('SELECT count(*)::INT AS wanted FROM wanted');
  const different = await query(`SELECT * FROM wanted FULL JOIN got ON wanted.window_start = got.window_start
      AND wanted.k IS NOT DISTINCT FROM got.k
    WHERE wanted.n IS DISTINCT FROM got.n OR wanted.numbers IS DISTINCT FROM got.numbers OR wanted.total IS DISTINCT FROM got.total
      OR wanted.low IS DISTINCT FROM got.low OR wanted.high IS DISTINCT FROM got.high LIMIT 5`);
  if (different.length) {
    throw new Error(`${name}: DuckDB and tumble differ: ${JSON.stringify(different, null, 1)}`);
  }
  if (wanted < 10) {
    throw new Error(`${name}: only ${wanted} windows and groups: nothing was compared`);
  }
  console.log(`${name}: ${wanted} windows and groups agree`);
}

const quakes = join(tools, 'node_modules/vega-datasets/data/earthquakes.json');
if (!existsSync(quakes)) {
  throw new Error(`${quakes} is not there: ./dev test puts it there`);
}

async function earthquakes(field, path) {
  await compare(`earthquakes by ${field}`, field, 6 * 3600,
    `SELECT (feature->>'$.properties.time')::BIGINT AS ms, feature->>'$.properties.magType' AS k,
            (feature->>'${path}')::DECIMAL(38,9) AS v
     FROM (SELECT unnest(features) AS feature
           FROM read_json(${quote(quakes)}, columns = {features: 'JSON[]'}, maximum_object_size = 100000000))`,
    ['--records-at', '/features', '--timestamp', 'properties.time', '--sort', '--group-by', 'k=properties.magType', quakes]);
}

async function clicks(seed, options, replay) {
  const input = join(work, 'clicks.ndjson');
  run(generate, ['--records', '200000', '--seed', `${seed}`, ...options], input);
  await compare(`clicks ${options.join(' ')}`, 'amount', 60,
    `SELECT timestamp AS ms, eventType AS k, amount AS v
     FROM read_json(${quote(input)}, format = 'newline_delimited',
                    columns = {timestamp: 'BIGINT', eventType: 'VARCHAR', amount: 'DECIMAL(38,9)'})`,
    ['--timestamp', 'timestamp', '--partition-key', 'userId', '--group-by', 'k=eventType', ...replay, input]);
}

try {
  await earthquakes('properties.mag', '$.properties.mag');
  await earthquakes('/geometry/coordinates/2', '$.geometry.coordinates[2]');
  await earthquakes('properties.sig', '$.properties.sig');
  await clicks(1, ['--null-rate', '0.1'], []);
  await clicks(2, ['--groups', '500', '--shuffle-keys', '--escapes', '0.2'], ['--shards', '5', '--threads', '2']);
  await clicks(3, ['--out-of-order', '30000'], ['--allowed-lateness', '60', '--shards', '3', '--batch-size', '77']);
} finally {
  rmSync(work, { recursive: true, force: true });
}
