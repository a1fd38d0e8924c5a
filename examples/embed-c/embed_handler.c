/* A Lambda handler of your own with the engine inside. Here events come line by line from standard input and responses
 * go line by line to standard output, which is what is left of a runtime when one takes the network away; rows of
 * finals are appended to a file.
 *
 *     cc embed_handler.c -ltumble && ./a.out spec.json rows.ndjson < events.ndjson */

#include <stdio.h>
#include <stdlib.h>

#include <tumble/function.h>

/* A row of a final. What is done here has to be safe to do twice: key is the same when a row comes again. */
static int on_row(void *ctx, const char *json, size_t length, const char *key) {
    FILE *rows = ctx;
    (void)key;
    return fwrite(json, 1, length, rows) == length && putc('\n', rows) != EOF && fflush(rows) == 0 ? 0 : 1;
}

static char *read_file(const char *path, size_t *length) {
    static char text[1 << 20];
    FILE *file = fopen(path, "rb");
    *length = file ? fread(text, 1, sizeof text, file) : 0;
    if (file) {
        fclose(file);
    }
    return file ? text : NULL;
}

int main(int argc, char **argv) {
    struct tumble_function *function;
    char message[TUMBLE_ERROR_TEXT] = "usage: embed_handler SPEC ROWS < EVENTS > RESPONSES";
    size_t length = 0;
    char *spec = argc == 3 ? read_file(argv[1], &length) : NULL;
    FILE *rows = spec ? fopen(argv[2], "ab") : NULL;
    if (!rows ||
        tumble_function_open(spec, length, 0, 0, on_row, NULL, NULL, rows, &function, message, sizeof message)) {
        fprintf(stderr, "embed_handler: %s\n", message);
        return 1;
    }
    char *line = NULL;
    size_t capacity = 0;
    for (ssize_t n; (n = getline(&line, &capacity, stdin)) > 0;) {
        const char *answer;
        size_t answer_length;
        if (tumble_function_invoke(function, line, (size_t)n, &answer, &answer_length)) {
            fprintf(stderr, "%s: %s\n", tumble_function_error_type(function), tumble_function_error_text(function));
        }
        printf("%.*s\n", (int)answer_length, answer);
        fflush(stdout);
    }
    free(line);
    tumble_function_close(function);
    return fclose(rows) == 0 ? 0 : 1;
}
