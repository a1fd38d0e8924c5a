#ifndef TUMBLE_RUNNER_NEAREST_H
#define TUMBLE_RUNNER_NEAREST_H

/* The candidate that word was most probably meant to be, or NULL. candidates is NULL-ended. */
const char *tumble_nearest(const char *word, const char *const *candidates);

#endif
