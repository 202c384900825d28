//! What the C library's allocator does with memory that is not in use (mallopt(3), malloc_trim(3)).
//!
//! Of glibc alone: with another library the functions here do nothing.

/// All threads share one heap from now on. By default a thread that comes second gets its own, and
/// what it frees stays with it.
pub fn share_one_heap() {
    // SAFETY: it takes two numbers and changes a setting of the allocator, under its own lock.
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives the pages of the heap that nobody uses back to the kernel.
pub fn give_back_free_memory() {
    // Pages that are locked stay.
    crate::memory::unlocked(|| {
        // SAFETY: it takes a number and touches only memory that the allocator holds as free, under
        // its own lock.
        #[cfg(target_env = "gnu")]
        #[allow(unsafe_code)]
        unsafe {
            libc::malloc_trim(0);
        }
    });
}
