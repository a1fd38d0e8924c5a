python3 - "$TUMBLE" "$DATA/orders.json" <<'END'
import os, signal, subprocess, sys
with open("in", "w") as f:
    for i in range(200000):
        f.write('{"ts":%d,"type":"t%d","amount":1}\n' % (1700000000 + i, i))
for output in "-", "file:/dev/stdout", "/dev/stdout":
    run = subprocess.Popen([sys.argv[1], "replay", "-q", "--spec", sys.argv[2], "-o", output, "-f", "ndjson", "in"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline().startswith(b'{"window_start"')
    run.stdout.close()
    said = run.stderr.read()
    print(output, run.wait() == -signal.SIGPIPE, said)
for more in ["--invoke", "event"], ["--batch-size", "10", "--invoke", "direct"]:
    run = subprocess.Popen([sys.argv[1], "replay", "-q", "--spec", sys.argv[2], "-f", "ndjson", *more, "in"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline().startswith(b'{"window_start"')
    run.stdout.close()
    said = run.stderr.read()
    print(*more, run.wait() == -signal.SIGPIPE, said)
END
