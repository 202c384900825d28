/* Loaded before libc into user-mode Linux: gives the registers of its processes back whole.
 *
 * Linux takes extended registers (NT_X86_XSTATE) by PTRACE_SETREGSET only if they are as many
 * octets as this processor has, and gives as many as are asked for. User-mode Linux keeps 2696,
 * all up to AVX-512; a processor with AMX has 11008, and there it ends at its first process. So
 * what is missing is added, as it is: user-mode Linux lets nobody use it.
 *
 * ptrace(2), Linux arch/x86/kernel/fpu/regset.c (xstateregs_set). */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* More than any processor has. */
static char all[1 << 16] __attribute__((aligned(64)));
static int is_whole;

static long give_back(pid_t pid, struct iovec *kept) {
  struct iovec whole = {all, sizeof all};
  void *const kind = (void *)NT_X86_XSTATE;
  if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, kind, &whole) < 0)
    return -1;
  is_whole = kept->iov_len >= whole.iov_len;
  if (is_whole)
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, kind, kept);
  memcpy(all, kept->iov_base, kept->iov_len);
  return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, kind, &whole);
}

long ptrace(enum __ptrace_request request, ...) {
  va_list arguments;
  va_start(arguments, request);
  pid_t pid = va_arg(arguments, pid_t);
  void *address = va_arg(arguments, void *);
  void *data = va_arg(arguments, void *);
  va_end(arguments);
  if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE && !is_whole)
    return give_back(pid, data);
  /* These give a word back, which the system call writes. */
  if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER) {
    long word;
    if (syscall(SYS_ptrace, request, pid, address, &word) < 0)
      return -1;
    errno = 0;
    return word;
  }
  return syscall(SYS_ptrace, request, pid, address, data);
}
