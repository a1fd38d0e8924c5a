#include "runner/nearest.h"

#include <string.h>

enum { WORD_MAX = 64 };

/* Edits (insert, delete, replace, swap of neighbours) between two words of at most WORD_MAX bytes. */
static size_t edits(const char *a, const char *b) {
    size_t rows[3][WORD_MAX + 1];
    size_t m = strlen(a), n = strlen(b);
    if (m > WORD_MAX || n > WORD_MAX) {
        return WORD_MAX;
    }
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n; j++) {
        above[j] = before[j] = j;
    }
    for (size_t i = 1; i <= m; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best) {
                best = before[j - 2] + 1;
            }
            row[j] = best;
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[n];
}

static int begins_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

const char *tumble_nearest(const char *word, const char *const *candidates) {
    const char *best = NULL;
    size_t fewest = strlen(word) / 3 + 1;
    fewest = fewest > 3 ? 3 : fewest;
    for (; *candidates; candidates++) {
        size_t distance = edits(word, *candidates);
        if (distance <= fewest && (!best || distance < fewest)) {
            fewest = distance;
            best = *candidates;
        } else if (!best && strlen(word) >= 3 && begins_with(*candidates, word)) {
            best = *candidates;
        }
    }
    return best;
}
