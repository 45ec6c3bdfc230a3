#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t start, const char *data, size_t size)
{
    uint32_t sum = ~start;
    for (size_t i = 0; i < size; i++) {
        sum ^= (unsigned char)data[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78 : 0);
    }
    return ~sum;
}
