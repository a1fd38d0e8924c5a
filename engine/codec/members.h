#ifndef TW_CODEC_MEMBERS_H
#define TW_CODEC_MEMBERS_H

#include <stdbool.h>

#include <tumble/bytes.h>
#include <tumble/projection.h>

/* Objects of scalars whose members come in any order, so that no layout of the whole can be learned, but one of each
 * member can:
 *
 *     {"amount":1.5,"eventType":"click"}        known: "amount":(number), "eventType":"(string)"
 *     {"eventType":"buy","amount":20}
 *
 * As with a layout, a text that fits is well-formed and means what tumble_project would find in it, because what is
 * compared came from texts that it accepted, and what is not is a complete string or number; what does not fit goes to
 * tumble_project, which decides alone. Which member comes next nobody can guess, a processor neither, and to guess
 * wrong takes it longer than to do what is needed in either case: so there are hardly any branches. */

enum {
    TW_MEMBERS_KNOWN = 32,  /* members that can be learned, and one */
    TW_MEMBERS_COPIES = 32, /* values that are the same member as another */
    TW_MEMBERS_SLOTS = 256,
    TW_MEMBERS_LITERAL = 32, /* longest key, with what stands around it */
    TW_MEMBERS_BYTES = 1024, /* longest text */
    TW_MEMBERS_PAD = 128     /* bytes wanted behind one, whatever they are */
};

struct tw_member {
    char literal[TW_MEMBERS_LITERAL]; /* all between the comma, or brace, in front and the value */
    uint64_t described;               /* what stands in a value behind its text, the length left out */
    uint32_t wanted;                  /* 1 or 0 */
    uint16_t value;                   /* that it is, when wanted */
    uint8_t length;                   /* of the literal */
    uint8_t quote;                    /* a string: 255, and its opening quote is in the literal; others: 0 */
    uint8_t next;                     /* looked for in the same slot, or 0 */
    uint8_t reserved[15];             /* an index is a shift */
};

/* What is known. All zeros: nothing. Holds no pointers; belongs to one projection and one thread. */
struct tw_members {
    uint64_t multiplier;
    uint64_t mask;                    /* of a literal's first eight bytes: those that every one of them has */
    uint32_t slots[TW_MEMBERS_SLOTS]; /* see members.c */
    struct tw_member known[TW_MEMBERS_KNOWN];
    struct {
        uint16_t to;
        uint16_t from;
    } copies[TW_MEMBERS_COPIES];
    uint8_t count; /* of those known, the first one, which is nothing, included */
    uint8_t copy_count;
    uint8_t apart; /* how many texts did not fit of late */
};

/* Reads count texts, each one value and nothing else: fits[i] tells whether values[i * n …] hold the n values of the
 * projection in text i. Of the others nothing is said; among them may be texts that are well-formed. around: bytes in
 * which texts lie that can be read where they are, when enough of them stand behind; others are copied first. Returns
 * how many fit. */
size_t tw_members_project(struct tw_members *members, const struct tumble_projection *projection,
                          const struct tumble_bytes *texts, size_t count, struct tumble_bytes around,
                          struct tumble_value *values, bool *fits);

#endif
