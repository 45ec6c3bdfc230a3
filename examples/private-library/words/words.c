const char *words(void) { return "the tag is a promise"; }
