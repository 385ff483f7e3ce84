"""Prints the median microseconds of a read, then of ten distinct reads in a row by a new client."""

import statistics
import sys
import time

from sikkerkey import SikkerKey

reads = int(sys.argv[2])
times = []
sk = SikkerKey(sys.argv[1])
for _ in range(reads):
    start = time.perf_counter()
    for n in range(int(sys.argv[3])):
        sk.get_secret(f"sk_{n}")
    times.append((time.perf_counter() - start) * 1e6)
print(statistics.median(times))
