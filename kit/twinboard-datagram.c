/*
 * Sends one datagram to a unix socket, for shells, which cannot: twinboard-datagram PATH TEXT
 * twinboard-notify uses it in a container, where NOTIFY_SOCKET is (sd_notify(3)). It never waits.
 *
 * It needs no library, and knows x86-64 and arm64:
 * cc -static -nostdlib -ffreestanding -fno-stack-protector -O2 -o twinboard-datagram twinboard-datagram.c
 * Numbers of system calls: syscall(2), asm/unistd_64.h, asm-generic/unistd.h. Addresses: unix(7).
 */

/* begin(the stack as the kernel leaves it: argc, argv); and system_call(number, three arguments). */
#if defined(__x86_64__)
enum { call_write = 1, call_socket = 41, call_connect = 42, call_exit_group = 231 };
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
        "  syscall\n"
        "  ret\n");
#elif defined(__aarch64__)
enum { call_write = 64, call_exit_group = 94, call_socket = 198, call_connect = 203 };
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
        "  svc #0\n"
        "  ret\n");
#else
#error "twinboard-datagram knows x86-64 and arm64"
#endif

extern long system_call(long number, long first, long second, long third);
extern void begin(long *stack);

enum {
    family_unix = 1,        /* AF_UNIX */
    datagram = 02 | 04000,  /* SOCK_DGRAM, SOCK_NONBLOCK */
    path_bytes = 108,
    exit_failed = 1,
    exit_usage = 64
};

struct address {
    unsigned short family;
    char path[path_bytes];
};

static void leave(int code)
{
    for (;;)
        system_call(call_exit_group, code, 0, 0);
}

static long length_of(const char *text)
{
    long length = 0;
    while (text[length] != 0)
        length += 1;
    return length;
}

void begin(long *stack)
{
    static struct address to;
    char **arguments = (char **)(stack + 1);
    long length, at, socket;
    if (stack[0] != 3)
        leave(exit_usage);
    length = length_of(arguments[1]);
    if (length == 0 || length >= path_bytes)
        leave(exit_usage);
    to.family = family_unix;
    for (at = 0; at < length; at += 1)
        to.path[at] = arguments[1][at];
    /* A name that begins with @ is an abstract one, which begins with a zero byte. */
    if (to.path[0] == '@')
        to.path[0] = 0;
    socket = system_call(call_socket, family_unix, datagram, 0);
    if (socket < 0 || system_call(call_connect, socket, (long)&to, (long)sizeof to.family + length) != 0)
        leave(exit_failed);
    length = length_of(arguments[2]);
    leave(system_call(call_write, socket, (long)arguments[2], length) == length ? 0 : exit_failed);
}
