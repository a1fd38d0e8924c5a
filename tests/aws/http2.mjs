// An HTTP/2 server (ALPN h2, HTTP/1.1 beside it) that answers with what it got. usage: http2.mjs KEY CERTIFICATE; prints its port.
import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';

const server = createSecureServer({ key: readFileSync(process.argv[2]), cert: readFileSync(process.argv[3]), allowHTTP1: true },
  (request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const got = {
        version: request.httpVersion, method: request.method, path: request.url,
        host: request.headers[':authority'] ?? request.headers.host, authorization: request.headers.authorization ?? '',
        body: Buffer.concat(parts).toString('hex'), ports: [request.socket.remotePort],
      };
      response.end(JSON.stringify(got));
    });
  });
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
