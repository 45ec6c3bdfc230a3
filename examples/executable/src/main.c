#include <stdio.h>
#include <stdlib.h>

static const struct {
    int value;
    const char *letters;
} numerals[] = {
    {1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
    {40, "XL"},  {10, "X"},   {9, "IX"},  {5, "V"},    {4, "IV"},  {1, "I"},
};

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int number = atoi(argv[i]);
        if (number < 1 || number > 3999) {
            fprintf(stderr, "%s: not from 1 to 3999\n", argv[i]);
            return 2;
        }
        for (size_t n = 0; n < sizeof numerals / sizeof *numerals; n++)
            for (; number >= numerals[n].value; number -= numerals[n].value)
                fputs(numerals[n].letters, stdout);
        putchar('\n');
    }
    return 0;
}
