"""The readers-writer lock: who shares, who excludes, and that neither side starves."""

import threading
import time

import pytest

from minivec.indexes.locks import SharedLock

PATIENCE = 20.0  # seconds until a test gives up on a thread that hangs


def started(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def finished(thread):
    thread.join(PATIENCE)
    return not thread.is_alive()


def wait_until(condition):
    """Let other threads run until the condition holds."""
    limit, idle = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < limit
        idle.wait(0.001)


def test_readers_share():
    lock, together = SharedLock(), threading.Barrier(3)

    def read():
        with lock.shared():
            together.wait(PATIENCE)

    assert all(finished(thread) for thread in [started(read) for _ in range(3)])


def test_a_writer_is_alone():
    lock, inside, most = SharedLock(), [], []

    def write():
        for _ in range(300):
            with lock.exclusive():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    def read():
        for _ in range(300):
            with lock.shared():
                assert not inside
                most.append(len(inside))

    threads = [started(work) for work in (write, read, write, read)]
    assert all(finished(thread) for thread in threads)
    assert max(most) == 1
    assert len(most) == 1200


def test_a_stream_of_readers_does_not_starve_a_writer():
    lock, stop = SharedLock(), threading.Event()

    def read():
        while not stop.is_set():
            with lock.shared():
                pass

    readers = [started(read) for _ in range(3)]
    wrote = started(lambda: [None for _ in range(20) if _enter(lock.exclusive())])
    done = finished(wrote)
    stop.set()
    assert done
    assert all(finished(thread) for thread in readers)


def test_a_stream_of_writers_does_not_starve_a_reader():
    lock, stop = SharedLock(), threading.Event()

    def write():
        while not stop.is_set():
            with lock.exclusive():
                pass

    writers = [started(write) for _ in range(3)]
    read = started(lambda: [None for _ in range(20) if _enter(lock.shared())])
    done = finished(read)
    stop.set()
    assert done
    assert all(finished(thread) for thread in writers)


def test_a_reader_who_waited_for_a_writer_goes_before_the_next_writer():
    lock, order = SharedLock(), []

    def act(held, name):
        with held:
            order.append(name)

    with lock.exclusive():
        reader = started(lambda: act(lock.shared(), "reader"))
        wait_until(lambda: lock._readers_waiting == 1)
        writer = started(lambda: act(lock.exclusive(), "writer"))
        wait_until(lambda: lock._writers_waiting == 1)
    assert finished(reader)
    assert finished(writer)
    assert order == ["reader", "writer"]


def test_an_error_inside_gives_the_lock_back():
    lock = SharedLock()
    for held in (lock.shared, lock.exclusive):
        with pytest.raises(KeyError), held():
            raise KeyError
    assert _enter(lock.exclusive())


def test_an_interrupted_waiter_leaves_no_trace(monkeypatch):
    lock = SharedLock()
    with lock.exclusive():
        for held in (lock.shared, lock.exclusive):
            with monkeypatch.context() as patch:
                patch.setattr(lock._changed, "wait", _interrupt)
                with pytest.raises(KeyboardInterrupt):
                    _enter(held())
    assert _enter(lock.shared())
    assert _enter(lock.exclusive())


def _enter(held):
    with held:
        return True


def _interrupt():
    raise KeyboardInterrupt
