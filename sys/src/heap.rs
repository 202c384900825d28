//! What the C library's allocator does with memory that is not in use (malloc_trim(3)).
//!
//! Of glibc alone: with another library it does nothing.

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
