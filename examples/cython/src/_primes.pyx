# cython: language_level=3

def below(int limit):
    """Return all primes below a limit."""
    cdef bytearray sieve = bytearray(b"\1") * max(limit, 0)
    cdef unsigned char[:] is_prime = sieve
    cdef int number, multiple
    found = []
    for number in range(2, limit):
        if is_prime[number]:
            found.append(number)
            for multiple in range(2 * number, limit, number):
                is_prime[multiple] = 0
    return found
