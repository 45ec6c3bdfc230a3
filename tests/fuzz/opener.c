/* Opens libraries for the differential fuzzer (differential.py), each in a child of its own.
 *
 * Started once by a musl loader. Arguments: the folder that the libraries are in, milliseconds of
 * processor time for each, and 1 if no emulator runs this. Each line of standard input is a path
 * behind a digit, the sum of 1 if a thread is to be started as well, and 2 if it is to be found out
 * whether functions that HIDDEN tags lead to are code. One line is written for each: how far it
 * came, and where it ended.
 *
 *   END STAGE PHASE PC RETURN CALLS SIGNAL INIT TEXT
 *
 * END     l: all went well; r: dlopen refused; c: a signal; t: out of time; x: the process ended
 * STAGE   0: dlopen, 1: dlsym, 2: a thread, 3: exit
 * PHASE   1: the loader maps or relocates, 0: it does not (r_state of the loader's r_debug)
 * PC      what lies at the program counter: l: the loader, o: code of a file of the folder,
 *         d: another page of such a file, m: this program, n: nothing executable
 * RETURN  the same for the address to which the function returns that was called last
 * CALLS   1: all that the loader would call of the files, if the tags were not hidden, is in their code
 * INIT    where PyInit__core is, as for PC; -: nowhere
 * TEXT    dlerror's
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

typedef uintptr_t word;

static struct report {
	char end, phase, pc, ret, calls, init;
	int stage, signal;
	char text[400];
} *report;

static struct r_debug *debug;
static const char *folder;
static size_t folder_length;
static char maps[1 << 16];
static size_t maps_size;
static struct range { word start, stop; } code[64];
static int codes;

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

static void read_maps(void)
{
	int file = open("/proc/self/maps", O_RDONLY);
	ssize_t got;
	maps_size = 0;
	while ((got = read(file, maps + maps_size, sizeof maps - 1 - maps_size)) > 0) maps_size += got;
	maps[maps_size] = 0;
	close(file);
}

static const char *hexadecimal(const char *at, word *number)
{
	for (*number = 0;; at++) {
		if (*at >= '0' && *at <= '9') *number = *number * 16 + *at - '0';
		else if (*at >= 'a' && *at <= 'f') *number = *number * 16 + *at - 'a' + 10;
		else return at;
	}
}

static int has(const char *line, const char *end, const char *text, size_t length)
{
	for (; line + length <= end; line++) if (!memcmp(line, text, length)) return 1;
	return 0;
}

static int emulated;

/* Note all code of the folder. QEMU shows adjacent pages of a file that only differ in whether they
 * are executable as one: there the program headers say it. */
static void note_code(void)
{
	static union { char bytes[1 << 13]; ElfW(Ehdr) header; } start;
	codes = 0;
	for (struct link_map *file = debug->r_map; file; file = file->l_next) {
		if (strncmp(file->l_name, folder, folder_length)) continue;
		int opened = open(file->l_name, O_RDONLY);
		ssize_t size = read(opened, &start, sizeof start);
		close(opened);
		const ElfW(Ehdr) *header = &start.header;
		if (size < (ssize_t)sizeof *header) continue;
		for (int i = 0; i < header->e_phnum && codes < 64; i++) {
			word at = header->e_phoff + (word)i * header->e_phentsize;
			ElfW(Phdr) segment;
			if (at > (word)size - sizeof segment) break;
			memcpy(&segment, start.bytes + at, sizeof segment);
			if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X)) continue;
			word first = file->l_addr + segment.p_vaddr;
			code[codes++] = (struct range){first & -4096, (first + segment.p_memsz + 4095) & -4096};
		}
	}
}

static int in_code(word address)
{
	for (int i = 0; i < codes; i++)
		if (address >= code[i].start && address < code[i].stop) return 1;
	return 0;
}

/* Say what lies at an address; note all code of the folder as well. */
static char what(word address, int readable_only)
{
	char found = 'n';
	codes = 0;
	if (emulated) note_code();
	for (const char *line = maps; *line;) {
		const char *end = strchr(line, '\n'), *at;
		word start, stop;
		if (!end) break;
		at = hexadecimal(line, &start);
		at = hexadecimal(at + 1, &stop);
		char kind = has(at, end, folder, folder_length) ? 'o' : has(at, end, "/ld-musl-", 9) ? 'l'
			: has(at, end, "/opener", 7) ? 'm' : 'n';
		int executable = at[3] == 'x', readable = at[1] == 'r';
		if (emulated && kind == 'o') executable = in_code(address);
		else if (kind == 'o' && executable && codes < 64) code[codes++] = (struct range){start, stop};
		if (address >= start && address < stop) {
			if (readable_only) found = readable;
			else found = executable ? kind : kind == 'o' ? 'd' : 'n';
		}
		line = end + 1;
	}
	if (readable_only && found == 'n') found = 0;
	return found;
}

/* Say whether each entry of an array of functions is in code of the folder. */
static int all_code(word base, const word *entries, const word *sizes)
{
	word at = base + *entries, count = *sizes / sizeof at;
	if (!*entries || !count) return 1;
	if (at % sizeof at || count > 1 << 16) return 0;
	for (; count--; at += sizeof at)
		if (!what(at, 1) || !what(at + sizeof at - 1, 1) || !in_code(*(word *)at)) return 0;
	return 1;
}

/* A tag that was hidden from the loader: DT_INIT and others, so that it calls nothing. */
#define HIDDEN 0x60100000

/* Say whether all that the loader would call of the folder's files is in their code. Where a tag is
 * there twice the last one counts, as for musl. */
static int calls_code(void)
{
	for (struct link_map *file = debug->r_map; file; file = file->l_next) {
		if (strncmp(file->l_name, folder, folder_length)) continue;
		word values[32] = {0};
		for (word *entry = (word *)file->l_ld; *entry; entry += 2) {
			if (*entry < 32) values[*entry] = entry[1];
			else if (*entry - HIDDEN < 32) values[*entry - HIDDEN] = entry[1];
		}
#if !defined __arm__ && !defined __aarch64__ /* NO_LEGACY_INITFINI of musl */
		for (int tag = DT_INIT; tag <= DT_FINI; tag++) {
			what(0, 0);
			if (values[tag] && !in_code(file->l_addr + values[tag])) return 0;
		}
#endif
		if (!all_code(file->l_addr, values + DT_INIT_ARRAY, values + DT_INIT_ARRAYSZ)) return 0;
		if (!all_code(file->l_addr, values + DT_FINI_ARRAY, values + DT_FINI_ARRAYSZ)) return 0;
	}
	return 1;
}

static void ended(int number, siginfo_t *info, void *context)
{
	mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
	word pc, sp, returns = 0;
#if defined __x86_64__
	pc = machine->gregs[REG_RIP], sp = machine->gregs[REG_RSP];
#elif defined __i386__
	pc = machine->gregs[REG_EIP], sp = machine->gregs[REG_ESP];
#elif defined __aarch64__
	pc = machine->pc, sp = machine->sp, returns = machine->regs[30];
#elif defined __arm__
	pc = machine->arm_pc, sp = machine->arm_sp, returns = machine->arm_lr & ~1u;
#elif defined __s390x__
	pc = machine->psw.addr, sp = machine->gregs[15], returns = machine->gregs[14];
#elif defined __powerpc64__
	pc = machine->gp_regs[32], sp = machine->gp_regs[1], returns = machine->gp_regs[36];
#elif defined __riscv
	pc = machine->__gregs[0], sp = machine->__gregs[2], returns = machine->__gregs[1];
#endif
	report->signal = number;
	report->phase = '0' + (debug->r_state != 0);
	report->end = number == SIGVTALRM || number == SIGALRM ? 't' : 'c';
	read_maps();
	report->pc = what(pc, 0);
#if defined __x86_64__ || defined __i386__
	if (sp % sizeof sp == 0 && what(sp, 1)) returns = *(word *)sp;
#endif
	report->ret = what(returns, 0);
	_exit(0);
}

static void *started(void *argument)
{
	return argument;
}

static void limit(int what, rlim_t most)
{
	setrlimit(what, &(struct rlimit){most, most});
}

static void child(const char *path, int milliseconds, int asked)
{
	static char handlers[1 << 15];
	stack_t stack = {.ss_sp = handlers, .ss_size = sizeof handlers};
	sigaltstack(&stack, 0);
	struct sigaction action = {.sa_sigaction = ended, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigfillset(&action.sa_mask);
	static const int signals[] = {
		SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, SIGALRM, SIGVTALRM,
	};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, 0);
	struct itimerval time = {.it_value = {milliseconds / 1000, milliseconds % 1000 * 1000}};
	setitimer(ITIMER_VIRTUAL, &time, 0);
	alarm(30);
	/* Where neither of these signals gets through, in QEMU above all. */
	limit(RLIMIT_CPU, 2 + milliseconds / 1000);
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		report->end = 'r';
		char *from = dlerror();
		for (size_t i = 0; from && from[i] && i < sizeof report->text - 1; i++)
			report->text[i] = from[i] >= ' ' && from[i] < 127 ? from[i] : '?';
		_exit(0);
	}
	report->stage = 1;
	void *init = dlsym(handle, "PyInit__core");
	read_maps();
	report->init = init ? what((word)init, 0) : '-';
	if (asked & 2) report->calls = '0' + calls_code();
	if (asked & 1) {
		report->stage = 2;
		pthread_t thread;
		if (pthread_create(&thread, 0, started, 0)) _exit(0);
		pthread_join(thread, 0);
	}
	report->stage = 3;
	report->end = 'l'; /* unless a signal comes in between */
	exit(0);
}

/* A child may sleep for ever, under QEMU with all signals blocked. It takes no time then, so that no
 * other limit ends it: look every few seconds. */
static volatile pid_t running;

static void look(int number)
{
	static char name[32], stat[1024], before[1024];
	static pid_t seen;
	snprintf(name, sizeof name, "/proc/%d/stat", (int)running);
	int file = open(name, O_RDONLY);
	ssize_t size = read(file, stat, sizeof stat);
	close(file);
	int same = size > 0 && seen == running && !memcmp(stat, before, sizeof stat);
	memcpy(before, stat, sizeof stat);
	seen = running;
	if (same) kill(running, SIGKILL);
	alarm(2);
}

int main(int argc, char **argv)
{
	folder = argv[1], folder_length = strlen(folder);
	int milliseconds = atoi(argv[2]);
	for (ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag; entry++)
		if (entry->d_tag == DT_DEBUG) debug = (void *)entry->d_un.d_ptr;
	if (!debug) return fputs("no DT_DEBUG\n", stderr), 2;
	report = mmap(0, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED) return 2;
	FILE *answers = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 100), "w");
	FILE *paths = fdopen(fcntl(0, F_DUPFD_CLOEXEC, 101), "r");
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++) dup2(null, i);
	limit(RLIMIT_CORE, 0);
	emulated = argv[3][0] != '1';
	if (!emulated) { /* QEMU needs both for itself */
		limit(RLIMIT_FSIZE, 0);
		if (sizeof(word) == 8) limit(RLIMIT_AS, (rlim_t)6 << 30);
	}
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = look}, 0);
	static char path[4096];
	while (fgets(path, sizeof path, paths)) {
		path[strcspn(path, "\n")] = 0;
		*report = (struct report){'x', '0', '-', '-', '0', '-'};
		fflush(answers);
		pid_t pid = fork();
		if (pid < 0) return 3;
		if (!pid) {
			/* The end of the process would write what is left in a stream, if a file destroyed it. */
			close(fileno(answers));
			close(fileno(paths));
			child(path + 1, milliseconds, path[0] - '0');
		}
		int status;
		running = pid;
		alarm(2);
		while (waitpid(pid, &status, 0) != pid);
		alarm(0);
		struct report *r = report;
		if (WIFSIGNALED(status)) {
			r->signal = WTERMSIG(status), r->pc = 'k';
			r->end = r->signal == SIGKILL || r->signal == SIGXCPU ? 't' : 'c';
		}
		else if (WEXITSTATUS(status) && r->end != 'r') r->end = 'x';
		fprintf(answers, "%c %d %c %c %c %c %d %c %s\n", r->end, r->stage, r->phase, r->pc, r->ret,
			r->calls, r->signal, r->init, r->text);
		fflush(answers);
	}
	return 0;
}
