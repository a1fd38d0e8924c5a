// Starts one of the npm servers on a port of 127.0.0.1 that the kernel picks, prints {"port": N} when it listens, and ends with
// its standard input.
//
// usage: node launch.mjs DIRECTORY NAME [JSON OPTIONS]        DIRECTORY holds the node_modules
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";

const [directory, name, options = "{}"] = process.argv.slice(2);
const given = JSON.parse(options);
const require = createRequire(path.join(path.resolve(directory), "package.json"));

// Some servers bind every interface and want a port in advance: whatever is asked for, 127.0.0.1 and a free port are taken.
const opened = [];
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
    const asked = typeof args[0] === "object" ? args[0].port : args[0];
    const done = args.find((arg) => typeof arg === "function");
    this.once("listening", () => opened.push({ asked: Number(asked), port: this.address().port }));
    return listen.call(this, { port: 0, host: "127.0.0.1" }, done);
};

// Standard output is for that one line.
console.log = console.info = console.debug = console.error;
const ready = (ports) => process.stdout.write(JSON.stringify(ports) + "\n");
const listening = (server) => new Promise((resolve) => server.listen(0, resolve));

const starters = {
    async dynalite() {
        const server = require("dynalite")({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0, ...given });
        await listening(server);
    },
    async kinesalite() {
        const settings = { createStreamMs: 20, deleteStreamMs: 20, updateStreamMs: 20, shardLimit: 100, ...given };
        await listening(require("kinesalite")(settings));
    },
    async fauxqs() {
        const { startFauxqs } = await import(path.join(path.resolve(directory), "node_modules/fauxqs/dist/app.js"));
        await startFauxqs({ port: 0, logger: false, ...given });
    },
    async "local-aws-sqs"() {
        const settings = { port: 0, hostname: "127.0.0.1", emulateQueueCreationLifecycle: false, ...given };
        await require("local-aws-sqs").createSqsServer(settings);
    },
    async "kinesis-local"() {
        const settings = {
            KINESIS_MOCK_CERT_PATH: require.resolve("kinesis-local/server.json"),
            KINESIS_MOCK_PLAIN_PORT: "4568",
            KINESIS_MOCK_TLS_PORT: "4567",
            LOG_LEVEL: "ERROR",
            SHARD_LIMIT: "100",
            CREATE_STREAM_DURATION: "20ms",
            DELETE_STREAM_DURATION: "20ms",
            SPLIT_SHARD_DURATION: "20ms",
            MERGE_SHARDS_DURATION: "20ms",
            UPDATE_SHARD_COUNT_DURATION: "20ms",
            ...given,
        };
        Object.assign(process.env, settings);
        require("kinesis-local");
        const of = (asked) => opened.find((each) => each.asked === asked)?.port;
        while (of(4567) === undefined || of(4568) === undefined) {
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
        return { port: of(4568), tls_port: of(4567) };
    },
};

if (!starters[name]) {
    console.error(`launch.mjs: no such server: ${name}; there are ${Object.keys(starters).join(", ")}`);
    process.exit(2);
}
// All is in memory, so the hard way loses nothing; kinesis-local holds up process.exit while a stream exists.
const end = () => process.kill(process.pid, "SIGKILL");
process.on("SIGTERM", end);
process.stdin.on("end", end).resume();
const ports = await starters[name]();
ready(ports ?? { port: opened[0].port });
