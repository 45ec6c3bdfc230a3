#include <stdio.h>

int letters(const char *text);

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++)
        count += letters(argv[i]);
    printf("%d letters\n", count);
}
