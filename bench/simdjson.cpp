// tumble-simdjson FILE: how long simdjson's DOM takes merely to parse a file's lines, which lie in memory already.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>

#include <simdjson.h>

int main(int argc, char **argv) {
    if (argc != 2) {
        std::fputs("Usage: tumble-simdjson FILE\n", stderr);
        return 2;
    }
    simdjson::padded_string text;
    if (simdjson::padded_string::load(argv[1]).get(text)) {
        std::fprintf(stderr, "tumble-simdjson: cannot read %s\n", argv[1]);
        return 1;
    }
    simdjson::dom::parser parser;
    unsigned long documents = 0;
    double seconds = 0, cpu = 0;
    for (int warm = 1; warm >= 0; warm--) {
        auto began = std::chrono::steady_clock::now();
        std::clock_t began_cpu = std::clock();
        const char *at = text.data(), *end = at + text.size();
        documents = 0;
        while (at < end) {
            const char *line_end = static_cast<const char *>(std::memchr(at, '\n', static_cast<size_t>(end - at)));
            line_end = line_end ? line_end : end;
            simdjson::dom::element document;
            if (parser.parse(at, static_cast<size_t>(line_end - at), false).get(document)) {
                std::fputs("tumble-simdjson: a line is no JSON\n", stderr);
                return 1;
            }
            at = line_end + 1;
            if (++documents == 2 && warm) {
                break; // the parser's memory is there now
            }
        }
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        cpu = static_cast<double>(std::clock() - began_cpu) / CLOCKS_PER_SEC;
    }
    std::printf("{\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"documents\":%lu,\"kernel\":\"%s\"}\n", seconds, cpu, documents,
                simdjson::get_active_implementation()->name().c_str());
}
