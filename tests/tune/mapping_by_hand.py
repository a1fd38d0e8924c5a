"""An event source mapping over one shard, written once more and otherwise than the emulator: it looks at nothing that has not
happened yet, polls when a poll is due and decides with what it has. Under a clock of its own, or under the machine's."""

import time

POLL_MS = 1000
IDLE_MS = 120000


class VirtualClock:
    def __init__(self, start_ms):
        self.ms = start_ms

    def now(self):
        return self.ms

    def sleep_until(self, ms):
        self.ms = max(self.ms, ms)


class WallClock:
    """Shows start_ms when it is made."""

    def __init__(self, start_ms):
        self.offset = start_ms - time.time() * 1000

    def now(self):
        return time.time() * 1000 + self.offset

    def sleep_until(self, ms):
        left = ms - self.now()
        if left > 0:
            time.sleep(left / 1000)


class Mapping:
    """records: arrival times in ms and whatever belongs to them, in order. invoke(clock, batch, window, is_final): an invocation,
    from sending to the answer; it lets the clock go on by what it takes."""

    def __init__(self, records, batch_size, batching_window_s, window_s, clock, invoke):
        self.records, self.size, self.wait = records, batch_size, batching_window_s * 1000
        self.window, self.clock, self.invoke = window_s * 1000, clock, invoke
        self.queue, self.read = [], 0  # (when it was seen, record)
        self.start = self.next_poll = records[0][0]
        self.open = None
        self.ages, self.waits, self.durations = [], [], []

    def poll(self):
        """Every poll that is due by now; what each one sees has arrived by then."""
        while self.next_poll <= self.clock.now():
            while self.read < len(self.records) and self.records[self.read][0] <= self.next_poll:
                self.queue.append((self.next_poll, self.records[self.read]))
                self.read += 1
            self.next_poll += POLL_MS

    def send(self, batch, is_final):
        sent = self.clock.now()
        if batch:
            self.ages.append(max(0, sent - batch[-1][0]))
            self.waits.append(max(0, sent - batch[0][0]))
        self.invoke(self.clock, batch, self.open, is_final)
        self.durations.append(self.clock.now() - sent)

    def window_of(self, record):
        return record[0] // self.window * self.window

    def cut(self):
        """The batch that could go, and whether nothing can be added to it."""
        window = self.window_of(self.queue[0][1])
        for count, (_, record) in enumerate(self.queue):
            if count == self.size or self.window_of(record) != window:
                return count, True
        return len(self.queue), len(self.queue) == self.size

    def run(self):
        while True:
            self.poll()
            if not self.queue:
                if self.read == len(self.records):
                    break
                self.clock.sleep_until(self.next_poll)
                continue
            seen, first = self.queue[0]
            if self.open is not None and self.window_of(first) != self.open:
                self.send([], True)
                self.open = None
                continue
            count, is_full = self.cut()
            due = seen + self.wait
            if not is_full and self.clock.now() < due:
                self.clock.sleep_until(min(due, self.next_poll))
                continue
            if not is_full and self.next_poll <= due:  # a poll at the very moment belongs to it
                continue
            batch = [record for _, record in self.queue[:count]]
            self.queue = self.queue[count:]
            self.open = self.window_of(first)
            self.send(batch, False)
        if isinstance(self.clock, VirtualClock):
            self.clock.sleep_until(max(self.open + self.window, self.records[-1][0]) + IDLE_MS)
        self.send([], True)
        return self
