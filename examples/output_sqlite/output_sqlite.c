/* "sqlite:PATH": rows upserted into a table of an SQLite database by their key, so that a row that comes twice stands
 * there once. Build:
 *   cc -shared -fPIC -o sqlite.so output_sqlite.c -lsqlite3
 *   tumble replay … --plugin "$PWD/sqlite.so" --output sqlite:rows.db?table=orders
 * The table has the columns of the rows and _key; failures have _key and document. Numbers become SQLite's: an integer,
 * or a double where the row has a decimal. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tumble/output.h>

extern const struct tumble_output_api tumble_sqlite_output;

enum { OPTION_TABLE, OPTION_SYNCHRONOUS, OPTION_TIMEOUT, OPTION_COUNT };

static const char *const synchronous_words[] = {"full", "normal", "off", NULL};
static const struct tumble_output_option options[OPTION_COUNT] = {
    [OPTION_TABLE] = {.name = "table", .default_value = "rows", .help = "the table, made when it is not there"},
    [OPTION_SYNCHRONOUS] = {.name = "synchronous",
                            .type = TUMBLE_OPTION_ENUM,
                            .default_value = "full",
                            .help = "how hard a commit is synced; full where the state is durable",
                            .words = synchronous_words},
    [OPTION_TIMEOUT] = {.name = "timeout",
                        .type = TUMBLE_OPTION_DURATION,
                        .default_value = "5s",
                        .help = "how long another writer's lock is waited for",
                        .maximum = 600000},
};

struct sqlite_output {
    sqlite3 *db;
    sqlite3_stmt *insert;
    int in_transaction;
    char reason[200];
};

/* What SQLite says, as an error of tumble: a lock is busy, which mends by itself. */
static enum tumble_code fail(const struct sqlite_output *self, const char *doing, struct tumble_error *err) {
    int status = sqlite3_errcode(self->db);
    enum tumble_code code = status == SQLITE_BUSY || status == SQLITE_LOCKED ? TUMBLE_EBUSY : TUMBLE_EOUTPUT;
    if (err) {
        err->code = code;
        snprintf(err->text, sizeof err->text, "sqlite: %s: %s", doing, sqlite3_errmsg(self->db));
    }
    return code;
}

static void sqlite_close(void *ptr) {
    struct sqlite_output *self = ptr;
    if (self) {
        sqlite3_finalize(self->insert);
        sqlite3_close(self->db); /* takes back what was not committed: it is still in the outbox */
        free(self);
    }
}

/* CREATE TABLE and INSERT for the columns of the rows. */
static enum tumble_code prepare(struct sqlite_output *self, const struct tumble_output_open *how,
                                struct tumble_error *err) {
    const char *table = how->options[OPTION_TABLE].value;
    sqlite3_str *create = sqlite3_str_new(self->db), *insert = sqlite3_str_new(self->db);
    sqlite3_str_appendf(create, "CREATE TABLE IF NOT EXISTS \"%w\" (_key BLOB PRIMARY KEY", table);
    sqlite3_str_appendf(insert, "INSERT OR REPLACE INTO \"%w\" VALUES (?1", table);
    size_t columns = how->kind == TUMBLE_ROW_WINDOW ? tumble_spec_column_count(how->spec) : 0;
    for (size_t i = 0; i < columns; i++) {
        sqlite3_str_appendf(create, ", \"%w\"", tumble_spec_column(how->spec, i)->name);
        sqlite3_str_appendf(insert, ", json_extract(?%d, '$')", (int)i + 2);
    }
    sqlite3_str_appendall(create, columns ? ") WITHOUT ROWID" : ", document TEXT) WITHOUT ROWID");
    sqlite3_str_appendall(insert, columns ? ")" : ", ?2)");
    char *create_text = sqlite3_str_finish(create), *insert_text = sqlite3_str_finish(insert);
    enum tumble_code code = TUMBLE_OK;
    if (!create_text || !insert_text) {
        code = TUMBLE_ENOMEM;
    } else if (sqlite3_exec(self->db, create_text, NULL, NULL, NULL) != SQLITE_OK) {
        code = fail(self, "cannot make the table", err);
    } else if (sqlite3_prepare_v2(self->db, insert_text, -1, &self->insert, NULL) != SQLITE_OK) {
        code = fail(self, "the table has other columns", err);
        code = code == TUMBLE_EOUTPUT ? TUMBLE_EUSAGE : code; /* trying again does not help */
        if (err) {
            err->code = code;
        }
    }
    sqlite3_free(create_text);
    sqlite3_free(insert_text);
    return code;
}

static enum tumble_code sqlite_open(const struct tumble_output_open *how, void **out, struct tumble_error *err) {
    struct sqlite_output *self = calloc(1, sizeof *self);
    if (!self) {
        return TUMBLE_ENOMEM;
    }
    enum tumble_code code = TUMBLE_OK;
    char pragma[64];
    const char *synchronous = how->durable ? "full" : synchronous_words[how->options[OPTION_SYNCHRONOUS].number];
    snprintf(pragma, sizeof pragma, "PRAGMA synchronous = %s", synchronous);
    if (sqlite3_open(how->target, &self->db) != SQLITE_OK) {
        code = fail(self, how->target, err);
    } else {
        sqlite3_busy_timeout(self->db, (int)how->options[OPTION_TIMEOUT].number);
        sqlite3_exec(self->db, pragma, NULL, NULL, NULL);
        code = prepare(self, how, err);
    }
    if (code != TUMBLE_OK) {
        sqlite_close(self);
        return code;
    }
    *out = self;
    return TUMBLE_OK;
}

static int insert_row(struct sqlite_output *self, const struct tumble_row *row) {
    sqlite3_bind_blob(self->insert, 1, row->key, sizeof row->key, SQLITE_STATIC);
    if (row->values) {
        for (size_t i = 0; i < row->value_count; i++) {
            sqlite3_bind_text(self->insert, (int)i + 2, row->values[i].data, (int)row->values[i].length, SQLITE_STATIC);
        }
    } else {
        sqlite3_bind_text(self->insert, 2, row->json.data, (int)row->json.length, SQLITE_STATIC);
    }
    sqlite3_step(self->insert);
    return sqlite3_reset(self->insert);
}

static enum tumble_code sqlite_write(void *ptr, const struct tumble_row *rows, size_t count,
                                     struct tumble_delivery *out, struct tumble_error *err) {
    struct sqlite_output *self = ptr;
    if (!self->in_transaction && sqlite3_exec(self->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        return fail(self, "cannot begin", err);
    }
    self->in_transaction = 1;
    for (size_t i = 0; i < count; i++) {
        int status = insert_row(self, &rows[i]);
        if (status == SQLITE_OK) {
            out[i].outcome = TUMBLE_DELIVERED;
        } else if (status == SQLITE_CONSTRAINT || status == SQLITE_MISMATCH || status == SQLITE_TOOBIG ||
                   status == SQLITE_ERROR) { /* this row, not the database */
            snprintf(self->reason, sizeof self->reason, "sqlite: %.150s", sqlite3_errmsg(self->db));
            out[i].outcome = TUMBLE_REJECTED;
            out[i].reason = self->reason;
        } else {
            return fail(self, "cannot insert", err);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code sqlite_flush(void *ptr, int pending_done, struct tumble_error *err) {
    struct sqlite_output *self = ptr;
    (void)pending_done;
    if (self->in_transaction && sqlite3_exec(self->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        return fail(self, "cannot commit", err);
    }
    self->in_transaction = 0;
    return TUMBLE_OK;
}

const struct tumble_output_api tumble_sqlite_output = {
    .struct_size = sizeof tumble_sqlite_output,
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "sqlite",
    .flags = TUMBLE_OUTPUT_WANTS_VALUES,
    .target = "PATH",
    .summary = "rows upserted into a table by their key",
    .options = options,
    .option_count = OPTION_COUNT,
    .open = sqlite_open,
    .write = sqlite_write,
    .flush = sqlite_flush,
    .close = sqlite_close,
};
TUMBLE_OUTPUT_PLUGIN(tumble_sqlite_output);
