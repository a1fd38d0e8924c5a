#include "cli/stop_signal.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

static atomic_int received;

static void on_signal(int number) { atomic_store(&received, number); }

void tw_stop_signal_watch(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN);
}

void tw_broken_pipe_ends(bool ends) { signal(SIGPIPE, ends ? SIG_DFL : SIG_IGN); }

int tw_stop_signal(void) { return atomic_load(&received); }

int tw_stop_signal_came(void *unused) {
    (void)unused;
    return atomic_load(&received) != 0;
}
