#ifndef TW_STORE_LMDB_PAGES_H
#define TW_STORE_LMDB_PAGES_H

#include <stdint.h>

enum tw_lmdb_pages { TW_PAGES_SOUND, TW_PAGES_DAMAGED, TW_PAGES_MOVED_ON, TW_PAGES_NO_MEMORY };

/* Reads the page structure of a data.mdb, as of a transaction that the caller keeps open for reading, with bounds
 * checked at every step: both trees, their nodes, and that every page is in use once or free once. LMDB itself trusts
 * all of this, and would write outside a page where it is wrong. MOVED_ON: a writer has replaced the roots of that
 * transaction; begin another and ask again. */
enum tw_lmdb_pages tw_lmdb_check_pages(int fd, uint64_t transaction);

#endif
