int third(void);

int second(void) { return 20 + third(); }
