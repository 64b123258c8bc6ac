/*
 * Sets the board's clock when the host tells the time (docs/board-kit.md, "The clock port"): twinboard-clock PORT
 *
 * It stays in memory and starts no program, because a board that wakes has no time to lose. It needs no library, and knows
 * x86-64 and arm64: cc -static -nostdlib -ffreestanding -fno-stack-protector -O2 -o twinboard-clock twinboard-clock.c
 * Numbers of system calls: syscall(2), asm/unistd_64.h, asm-generic/unistd.h.
 */

/* begin(the stack as the kernel leaves it: argc, argv); and system_call(number, four arguments). */
#if defined(__x86_64__)
enum { call_read = 0, call_write = 1, call_nanosleep = 35, call_setpriority = 141, call_clock_settime = 227,
       call_exit_group = 231, call_openat = 257 };
__asm__(".globl _start\n"
        "_start:\n"
        "  xor %ebp, %ebp\n"
        "  mov %rsp, %rdi\n"
        "  and $-16, %rsp\n"
        "  call begin\n"
        ".globl system_call\n"
        "system_call:\n"
        "  mov %rdi, %rax\n"
        "  mov %rsi, %rdi\n"
        "  mov %rdx, %rsi\n"
        "  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n"
        "  syscall\n"
        "  ret\n");
#elif defined(__aarch64__)
enum { call_openat = 56, call_read = 63, call_write = 64, call_exit_group = 94, call_nanosleep = 101,
       call_clock_settime = 112, call_setpriority = 140 };
__asm__(".globl _start\n"
        "_start:\n"
        "  mov x29, xzr\n"
        "  mov x30, xzr\n"
        "  mov x0, sp\n"
        "  bl begin\n"
        ".globl system_call\n"
        "system_call:\n"
        "  mov x8, x0\n"
        "  mov x0, x1\n"
        "  mov x1, x2\n"
        "  mov x2, x3\n"
        "  mov x3, x4\n"
        "  svc #0\n"
        "  ret\n");
#else
#error "twinboard-clock knows x86-64 and arm64"
#endif

extern long system_call(long number, long first, long second, long third, long fourth);
extern void begin(long *stack);

/* What the kernel calls a timespec. */
struct moment {
    long seconds;
    long nanoseconds;
};

enum {
    at_working_directory = -100, /* AT_FDCWD */
    read_and_write = 02,         /* O_RDWR */
    no_terminal = 0400,          /* O_NOCTTY */
    real_time = 0,               /* CLOCK_REALTIME */
    of_process = 0,              /* PRIO_PROCESS */
    priority = -20,
    error_interrupted = 4,
    error_busy = 16,
    line_bytes = 128,
    id_bytes = 32,
    seconds_digits = 12,
    nanoseconds_digits = 10,
    exit_failed = 1,
    exit_usage = 64
};

static void leave(int code)
{
    for (;;)
        system_call(call_exit_group, code, 0, 0, 0);
}

static void rest(long milliseconds)
{
    struct moment pause;
    pause.seconds = milliseconds / 1000;
    pause.nanoseconds = milliseconds % 1000 * 1000000;
    system_call(call_nanosleep, (long)&pause, 0, 0, 0);
}

/* Only one may have a virtio port open. Whoever has it now, of an earlier start perhaps, does the same work; it is waited for. */
static int open_port(const char *path)
{
    for (;;) {
        long port = system_call(call_openat, at_working_directory, (long)path, read_and_write | no_terminal, 0);
        if (port >= 0)
            return (int)port;
        if (port != -error_busy && port != -error_interrupted)
            leave(exit_failed);
        rest(1000);
    }
}

/* Waits until the host takes it: where nobody has opened the host's end, this is where the program waits. */
static void write_line(int port, const char *bytes, long length)
{
    while (length > 0) {
        long written = system_call(call_write, port, (long)bytes, length, 0);
        if (written == -error_interrupted)
            continue;
        if (written <= 0)
            leave(exit_failed);
        bytes += written;
        length -= written;
    }
}

static int is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static int is_of_id(char character)
{
    return is_digit(character) || (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           character == '-';
}

/* Reads a number that ends in `end`, from `*at` on, which then is behind it; -1 if there is none. */
static long number(const char *line, int *at, int most_digits, char end)
{
    long value = 0;
    int first = *at;
    while (is_digit(line[*at])) {
        if (*at - first == most_digits)
            return -1;
        value = value * 10 + (line[*at] - '0');
        *at += 1;
    }
    if (*at == first || line[*at] != end)
        return -1;
    *at += 1;
    return value;
}

/* `ID SECONDS NANOSECONDS`, ended by a newline, becomes `ID ERRNO`, and is answered. What is anything else is not. */
static void obey(int port, char *line)
{
    struct moment now;
    long code, scale = 1;
    int end = 0, at;
    while (end < id_bytes && is_of_id(line[end]))
        end += 1;
    if (end == 0 || line[end] != ' ')
        return;
    at = end + 1;
    now.seconds = number(line, &at, seconds_digits, ' ');
    if (now.seconds < 0)
        return;
    now.nanoseconds = number(line, &at, nanoseconds_digits, '\n');
    if (now.nanoseconds < 0)
        return;
    code = -system_call(call_clock_settime, real_time, (long)&now, 0, 0);
    at = end + 1;
    while (code / scale > 9)
        scale *= 10;
    for (; scale > 0; scale /= 10)
        line[at++] = (char)('0' + code / scale % 10);
    line[at++] = '\n';
    write_line(port, line, at);
}

/*
 * Answers until the port is gone. An end of file means that the host has let go of it: what it had half said is void, and an empty
 * line waits for it to come back. A port that ends again and again is no reason to keep a processor busy.
 */
static void serve(int port)
{
    static char line[line_bytes];
    static char said[line_bytes];
    int length = 0, ends = 0;
    long count, next;
    for (;;) {
        count = system_call(call_read, port, (long)said, sizeof said, 0);
        if (count == -error_interrupted)
            continue;
        if (count < 0)
            leave(exit_failed);
        if (count == 0) {
            length = 0;
            ends += 1;
            if (ends > 1)
                rest(100);
            write_line(port, "\n", 1);
            continue;
        }
        ends = 0;
        for (next = 0; next < count; next += 1) {
            /* Of a line that is too long its end is still to be found. */
            if (length < line_bytes)
                line[length++] = said[next];
            if (said[next] != '\n')
                continue;
            if (line[length - 1] == '\n')
                obey(port, line);
            length = 0;
        }
    }
}

void begin(long *stack)
{
    char **arguments = (char **)(stack + 1);
    if (stack[0] != 2)
        leave(exit_usage);
    /* Of a board that wakes everybody wants the processor. Where it may not, it waits for its turn. */
    system_call(call_setpriority, of_process, 0, priority, 0);
    serve(open_port(arguments[1]));
}
