#include <ctype.h>
#include <string.h>

const char *words(void);

const char *motto(void)
{
    static char text[64];
    strncpy(text, words(), sizeof text - 1);
    text[0] = (char)toupper((unsigned char)text[0]);
    return text;
}
