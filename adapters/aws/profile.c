#include "adapters/aws/profile.h"

#include <stdio.h>
#include <strings.h>

#include "adapters/aws/digest.h"
#include "engine/base/fail.h"

enum { FILE_BYTES = 1024 * 1024, FIRST_BYTES = 16 * 1024, PATH_BYTES = 4096, MAX_PAIRS = 65536 };

/* Offsets into the profile's text, which moves while it grows. block: the nested block's name, or of a services section
 * "service NAME BLOCK" (names hold no space). */
struct tw_profile_pair {
    size_t block;    /* SIZE_MAX: none */
    size_t services; /* SIZE_MAX: of the profile; else the services section's name */
    size_t key;
    size_t value;
    bool credentials; /* from the credentials file */
};

/* Which section a line stands in. */
enum section { ELSEWHERE, OF_PROFILE, OF_SERVICES };

struct reader {
    struct tw_aws_profile *profile;
    const char *path;
    bool credentials;
    enum section section;
    size_t services; /* name of the services section */
    size_t block;    /* of the nested lines, SIZE_MAX: none */
    bool open;       /* the last pair may go on in indented lines */
    size_t line;
};

/* Adds text and a NUL; *offset is where it begins. */
static enum tumble_code keep(struct tw_aws_profile *profile, struct tumble_bytes text, size_t *offset) {
    *offset = profile->text.length;
    TW_TRY(tw_buf_append(&profile->text, text.data, text.length));
    return tw_buf_append_byte(&profile->text, '\0');
}

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

static struct tumble_bytes trim(struct tumble_bytes text) {
    while (text.length && blank(text.data[0])) {
        text.data++;
        text.length--;
    }
    while (text.length && blank(text.data[text.length - 1])) {
        text.length--;
    }
    return text;
}

/* White space and # or ; behind a value begin a comment. */
static struct tumble_bytes without_comment(struct tumble_bytes text) {
    for (size_t i = 1; i < text.length; i++) {
        if ((text.data[i] == '#' || text.data[i] == ';') && blank(text.data[i - 1])) {
            text.length = i;
            break;
        }
    }
    return trim(text);
}

static bool same(struct tumble_bytes text, const char *word) {
    return text.length == strlen(word) && strncasecmp(text.data, word, text.length) == 0;
}

/* "profile NAME" or "services NAME", the name perhaps in quotes. */
static bool named(struct tumble_bytes header, const char *kind, struct tumble_bytes *name) {
    size_t length = strlen(kind);
    if (header.length <= length || memcmp(header.data, kind, length) != 0 || !blank(header.data[length])) {
        return false;
    }
    name->data = header.data + length;
    name->length = header.length - length;
    *name = trim(*name);
    if (name->length >= 2 && (name->data[0] == '"' || name->data[0] == '\'') &&
        name->data[name->length - 1] == name->data[0]) {
        name->data++;
        name->length -= 2;
    }
    return true;
}

static enum tumble_code malformed(const struct reader *reader, const char *what, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EUSAGE, "%s, line %zu: %s", reader->path, reader->line, what);
}

static enum tumble_code enter(struct reader *reader, struct tumble_bytes line, struct tumble_error *err) {
    const char *close = memchr(line.data, ']', line.length);
    if (!close) {
        return malformed(reader, "a section's name ends in ]", err);
    }
    struct tumble_bytes header = trim((struct tumble_bytes){line.data + 1, (size_t)(close - line.data) - 1});
    struct tumble_bytes name;
    struct tumble_bytes wanted = tumble_bytes_of(reader->profile->name);
    reader->section = ELSEWHERE;
    reader->block = SIZE_MAX;
    reader->open = false;
    if (reader->credentials || tumble_bytes_equal(header, tumble_bytes_of("default"))) {
        reader->section = tumble_bytes_equal(header, wanted) ? OF_PROFILE : ELSEWHERE;
    } else if (named(header, "profile", &name)) {
        reader->section = tumble_bytes_equal(name, wanted) ? OF_PROFILE : ELSEWHERE;
    } else if (named(header, "services", &name)) {
        reader->section = OF_SERVICES;
        return keep(reader->profile, name, &reader->services);
    }
    reader->profile->found = reader->profile->found || reader->section == OF_PROFILE;
    return TUMBLE_OK;
}

static enum tumble_code add(struct reader *reader, size_t block, struct tumble_bytes key, struct tumble_bytes value,
                            struct tumble_error *err) {
    struct tw_aws_profile *profile = reader->profile;
    if (profile->pair_count == profile->pair_capacity) {
        size_t capacity = profile->pair_capacity ? profile->pair_capacity * 2 : 32;
        size_t size = sizeof *profile->pairs;
        if (capacity > MAX_PAIRS) {
            return malformed(reader, "more settings than can be meant", err);
        }
        void *pairs = tw_resize(&profile->alloc, profile->pairs, profile->pair_capacity * size, capacity * size);
        if (!pairs) {
            return TUMBLE_ENOMEM;
        }
        profile->pairs = pairs;
        profile->pair_capacity = capacity;
    }
    struct tw_profile_pair *pair = &profile->pairs[profile->pair_count];
    pair->block = block;
    pair->services = reader->section == OF_SERVICES ? reader->services : SIZE_MAX;
    pair->credentials = reader->credentials;
    TW_TRY(keep(profile, key, &pair->key));
    /* A command may hold a #, and is the one value that a comment cannot be told from. */
    TW_TRY(keep(profile, same(key, "credential_process") ? value : without_comment(value), &pair->value));
    profile->pair_count++;
    return TUMBLE_OK;
}

static enum tumble_code setting(struct reader *reader, struct tumble_bytes line, bool indented,
                                struct tumble_error *err) {
    const char *equals = memchr(line.data, '=', line.length);
    struct tumble_bytes key = {line.data, equals ? (size_t)(equals - line.data) : 0};
    struct tumble_bytes value = {line.data, 0};
    key = trim(key);
    if (equals) {
        value.data = equals + 1;
        value.length = line.length - (size_t)(equals + 1 - line.data);
        value = trim(value);
    }
    if (!indented) {
        if (key.length == 0) {
            return malformed(reader, "a setting is key = value", err);
        }
        reader->block = SIZE_MAX;
        reader->open = value.length != 0;
        if (value.length == 0) { /* what follows indented is nested in it */
            return keep(reader->profile, key, &reader->block);
        }
        return add(reader, SIZE_MAX, key, value, err);
    }
    if (reader->open) { /* the value goes on, which is how long commands are written */
        struct tw_aws_profile *profile = reader->profile;
        profile->text.length--; /* its NUL: nothing was added since */
        TW_TRY(tw_buf_append_byte(&profile->text, '\n'));
        TW_TRY(tw_buf_append(&profile->text, line.data, line.length));
        return tw_buf_append_byte(&profile->text, '\0');
    }
    if (reader->block == SIZE_MAX || key.length == 0) {
        return malformed(reader, "an indented line belongs to nothing", err);
    }
    return add(reader, reader->block, key, value, err);
}

static enum tumble_code read_line(struct reader *reader, struct tumble_bytes line, struct tumble_error *err) {
    bool indented = line.length && blank(line.data[0]);
    line = trim(line);
    if (line.length == 0 || line.data[0] == '#' || line.data[0] == ';') {
        return TUMBLE_OK;
    }
    if (memchr(line.data, '\0', line.length)) {
        return malformed(reader, "a NUL byte", err);
    }
    if (line.data[0] == '[' && !indented) {
        return enter(reader, line, err);
    }
    return reader->section == ELSEWHERE ? TUMBLE_OK : setting(reader, line, indented, err);
}

/* Of the file a variable names, or the one under the home directory. */
static enum tumble_code file_path(const struct tw_aws_host *host, const char *variable, const char *under_home,
                                  char out[PATH_BYTES], struct tumble_error *err) {
    const char *home = tw_aws_variable(host, "HOME");
    const char *path = tw_aws_variable(host, variable);
    int length = 0;
    if (path && strncmp(path, "~/", 2) != 0) {
        length = snprintf(out, PATH_BYTES, "%s", path);
    } else if (!home) {
        out[0] = '\0';
    } else {
        length = snprintf(out, PATH_BYTES, "%s/%s", home, path ? path + 2 : under_home);
    }
    return length < PATH_BYTES ? TUMBLE_OK : tw_fail(err, TUMBLE_EUSAGE, "%s: too long a path", variable);
}

static enum tumble_code read_shared(struct tw_aws_profile *profile, const struct tw_aws_host *host, bool credentials,
                                    struct tumble_error *err) {
    char path[PATH_BYTES];
    TW_TRY(file_path(host, credentials ? "AWS_SHARED_CREDENTIALS_FILE" : "AWS_CONFIG_FILE",
                     credentials ? ".aws/credentials" : ".aws/config", path, err));
    if (!path[0]) {
        return TUMBLE_OK;
    }
    struct tw_buf file;
    bool found = false;
    tw_buf_init(&file, profile->alloc, FILE_BYTES);
    /* Room ahead, so that growing leaves no copy of a secret behind in freed memory. */
    enum tumble_code code = tw_buf_reserve(&file, FIRST_BYTES);
    if (code == TUMBLE_OK) {
        code = host->read_file(host->ctx, path, &file, &found, err);
    }
    if (code == TUMBLE_OK) {
        code = tw_buf_reserve(&profile->text, file.length + FIRST_BYTES);
    }
    struct reader reader = {.profile = profile, .path = path, .credentials = credentials, .block = SIZE_MAX};
    const char *at = file.data;
    const char *end = found && file.length ? at + file.length : at;
    if (code == TUMBLE_OK && file.length >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) {
        at += 3;
    }
    while (code == TUMBLE_OK && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        reader.line++;
        code = read_line(&reader, (struct tumble_bytes){at, (size_t)(stop - at)}, err);
        at = stop < end ? stop + 1 : end;
    }
    tw_wipe(file.data, file.capacity);
    tw_buf_clean_up(&file);
    return code;
}

enum tumble_code tw_aws_profile_load(struct tw_aws_profile *profile, const struct tw_aws_host *host,
                                     const char *explicit_name, struct tumble_alloc alloc, struct tumble_error *err) {
    memset(profile, 0, sizeof *profile);
    profile->alloc = tw_alloc_or_default(alloc);
    tw_buf_init(&profile->text, profile->alloc, (size_t)4 * FILE_BYTES);
    const char *name = explicit_name ? explicit_name : tw_aws_variable(host, "AWS_PROFILE");
    name = name ? name : tw_aws_variable(host, "AWS_DEFAULT_PROFILE");
    profile->named = name != NULL;
    name = name ? name : "default";
    profile->name = tw_copy_text(&profile->alloc, name, strlen(name));
    enum tumble_code code = profile->name ? TUMBLE_OK : TUMBLE_ENOMEM;
    if (code == TUMBLE_OK) {
        code = read_shared(profile, host, false, err);
    }
    if (code == TUMBLE_OK) {
        code = read_shared(profile, host, true, err);
    }
    if (code == TUMBLE_OK && profile->named && !profile->found) {
        code = tw_fail(err, TUMBLE_EUSAGE,
                       "the AWS profile \"%s\" stands in neither the config nor the credentials file", profile->name);
    }
    if (code == TUMBLE_ENOMEM) {
        tw_no_memory(err);
    }
    if (code != TUMBLE_OK) {
        tw_aws_profile_clean_up(profile);
    }
    return code;
}

void tw_aws_profile_clean_up(struct tw_aws_profile *profile) {
    if (!profile->alloc.release) {
        return;
    }
    tw_wipe(profile->text.data, profile->text.capacity);
    tw_buf_clean_up(&profile->text);
    tw_free(&profile->alloc, profile->pairs);
    tw_free(&profile->alloc, profile->name);
    profile->pairs = NULL;
    profile->name = NULL;
    profile->pair_count = 0;
    profile->pair_capacity = 0;
}

static const char *text_at(const struct tw_aws_profile *profile, size_t offset) {
    return offset == SIZE_MAX ? NULL : profile->text.data + offset;
}

static bool same_name(const char *a, const char *b) { return a == b || (a && b && strcasecmp(a, b) == 0); }

/* The last that fits; the credentials file was read last. */
static const struct tw_profile_pair *find(const struct tw_aws_profile *profile, const char *services, const char *block,
                                          const char *key) {
    for (size_t i = profile->pair_count; i-- > 0;) {
        const struct tw_profile_pair *pair = &profile->pairs[i];
        const char *of = text_at(profile, pair->services);
        if ((of == services || (of && services && strcmp(of, services) == 0)) &&
            same_name(text_at(profile, pair->block), block) && strcasecmp(text_at(profile, pair->key), key) == 0) {
            return *text_at(profile, pair->value) ? pair : NULL;
        }
    }
    return NULL;
}

static const char *value_of(const struct tw_aws_profile *profile, const struct tw_profile_pair *pair) {
    return pair ? text_at(profile, pair->value) : NULL;
}

const char *tw_aws_profile_get(const struct tw_aws_profile *profile, const char *key) {
    return value_of(profile, find(profile, NULL, NULL, key));
}

bool tw_aws_profile_from_credentials(const struct tw_aws_profile *profile, const char *key) {
    const struct tw_profile_pair *pair = find(profile, NULL, NULL, key);
    return pair && pair->credentials;
}

const char *tw_aws_profile_get_in(const struct tw_aws_profile *profile, const char *block, const char *key) {
    return value_of(profile, find(profile, NULL, block, key));
}

const char *tw_aws_profile_service(const struct tw_aws_profile *profile, const char *service, const char *key) {
    const char *services = tw_aws_profile_get(profile, "services");
    return services ? value_of(profile, find(profile, services, service, key)) : NULL;
}
