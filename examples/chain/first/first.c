int second(void);

int first(void) { return 100 + second(); }
