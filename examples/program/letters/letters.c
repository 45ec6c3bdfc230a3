#include <ctype.h>

int letters(const char *text)
{
    int count = 0;
    for (; *text; text++)
        count += isalpha((unsigned char)*text) != 0;
    return count;
}
