//! The pages of the program itself, which are the page cache's.

use std::fs;
use std::io;
use std::ops::Range;

use crate::memory::unlocked;

/// Lets go of them: much of a program only its start needs, and what lies beside it comes along.
/// What is needed again comes back, a fault of some 64 kB each, and is locked if memory is.
///
/// # Errors
/// Those of reading `/proc/self/maps` and of madvise(2).
pub fn give_back_program() -> io::Result<()> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let parts = clean_parts(&maps, give_back_program as *const () as usize);
    let mut given_back = Ok(());
    // Pages that are locked stay.
    unlocked(|| given_back = parts.into_iter().try_for_each(give_back));
    given_back
}

fn give_back(part: Range<usize>) -> io::Result<()> {
    let start = part.start as *mut libc::c_void;
    // SAFETY: `clean_parts` has mapped pages of the running program's file that were never written:
    // the kernel reads the same octets again, since it lets nobody write to a file that runs.
    #[allow(unsafe_code)]
    let given_back = unsafe { libc::madvise(start, part.len(), libc::MADV_DONTNEED) };
    if given_back < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Of the mappings of this process (proc_pid_maps(5)): the code of the program that has `here`, and
/// the constants before it. What comes behind the code may have been written by its relocation.
fn clean_parts(maps: &str, here: usize) -> Vec<Range<usize>> {
    let all: Vec<_> = maps.lines().filter_map(Mapping::read).collect();
    let code = all.iter().find(|one| one.permissions == "r-xp" && one.part.contains(&here));
    let Some(code) = code else { return Vec::new() };
    let constants = all.iter().filter(|one| {
        let is_of_it = one.file == code.file && one.part.end <= code.part.start;
        is_of_it && one.permissions == "r--p" && one.offset == 0
    });
    constants.chain([code]).map(|one| one.part.clone()).collect()
}

struct Mapping<'a> {
    part: Range<usize>,
    permissions: &'a str,
    offset: u64,
    /// Device and inode.
    file: (&'a str, &'a str),
}

impl<'a> Mapping<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let part = address(start)?..address(end)?;
        let permissions = words.next()?;
        let offset = u64::from_str_radix(words.next()?, 16).ok()?;
        let file = (words.next()?, words.next()?);
        (file.1 != "0").then_some(Self { part, permissions, offset, file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_wrote_to_is_given_back() {
        let maps = "5000-6000 r--p 00000000 fe:00 77 /usr/sbin/other\n\
                    10000-20000 r--p 00000000 fe:00 42 /usr/sbin/vipd\n\
                    20000-50000 r-xp 0000f000 fe:00 42 /usr/sbin/vipd\n\
                    50000-58000 r--p 0003f000 fe:00 42 /usr/sbin/vipd\n\
                    58000-59000 rw-p 00046000 fe:00 42 /usr/sbin/vipd\n\
                    59000-60000 rw-p 00000000 00:00 0 [heap]\n\
                    7f000-80000 r-xp 00000000 00:00 0 [vdso]\n";
        assert_eq!(clean_parts(maps, 0x3_0000), [0x1_0000..0x2_0000, 0x2_0000..0x5_0000]);
        assert_eq!(clean_parts(maps, 0x5_8800), [], "that is no code");
        assert_eq!(clean_parts(maps, 0x7_f000), [], "nor of any file");
        assert_eq!(clean_parts("nonsense\n", 0), []);
    }

    #[test]
    fn a_program_goes_on_without_its_pages() {
        let here = a_program_goes_on_without_its_pages as *const () as usize;
        let resident = || {
            let smaps = fs::read_to_string("/proc/self/smaps").expect("it is there");
            let mut lines = smaps.lines().skip_while(|line| {
                Mapping::read(line).is_none_or(|mapping| !mapping.part.contains(&here))
            });
            let line = lines.find_map(|line| line.strip_prefix("Rss:")).expect("a line");
            line.trim_end_matches("kB").trim().parse::<u64>().expect("a number")
        };
        let before = resident();
        give_back_program().expect("it can be done");
        let after = resident();
        assert!(after < before, "{before} kB before, {after} kB after");
        assert_eq!(format!("{:?}", [1, 2, 3]), "[1, 2, 3]");
    }
}
