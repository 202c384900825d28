//! The pages of the program itself, which are the page cache's.

use std::fs;
use std::io;
use std::ops::Range;

use crate::memory::unlocked;

/// Of what is needed again, as much at a time comes back.
const PORTION: usize = 16 * 1024;

/// Lets go of them: much of a program only its start needs, and what lies beside it comes along.
/// What is needed again comes back, in portions of 16 kB, and is locked if memory is.
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

/// The kernel maps what lies around a page that is needed, and since Linux 6.18 up to megabytes of
/// it, as the page cache happens to have them; but nothing beyond a mapping. Portions of which
/// every other one would stay out of a core dump, where no program's file is anyway, are mappings:
/// some 400 of them, 80 kB of the kernel's memory.
fn give_back(part: Range<usize>) -> io::Result<()> {
    advise(&part, libc::MADV_DONTNEED)?;
    let other = part.clone().step_by(2 * PORTION);
    other
        .map(|start| start..part.end.min(start + PORTION))
        .try_for_each(|portion| advise(&portion, libc::MADV_DONTDUMP))
}

fn advise(part: &Range<usize>, advice: i32) -> io::Result<()> {
    let start = part.start as *mut libc::c_void;
    // SAFETY: `clean_parts` has mapped pages of the running program's file that were never written:
    // the kernel reads the same octets again, since it lets nobody write to a file that runs.
    #[allow(unsafe_code)]
    let advised = unsafe { libc::madvise(start, part.len(), advice) };
    if advised < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Of the mappings of this process (proc_pid_maps(5)): the code of the program that has `here`, and
/// the constants before it. What comes behind the code may have been written by its relocation.
fn clean_parts(maps: &str, here: usize) -> Vec<Range<usize>> {
    let all: Vec<_> = maps.lines().filter_map(Mapping::read).collect();
    let is_code = |one: &Mapping| one.permissions == "r-xp";
    let Some(code) = all.iter().find(|one| is_code(one) && one.part.contains(&here)) else {
        return Vec::new();
    };
    let of_it = || all.iter().filter(|one| one.file == code.file);
    let end = of_it().filter(|one| is_code(one)).map(|one| one.part.end).max();
    let clean = of_it().filter(|one| Some(one.part.end) <= end && !one.permissions.contains('w'));
    let mut parts: Vec<Range<usize>> = Vec::new();
    for one in clean {
        match parts.last_mut() {
            Some(last) if last.end == one.part.start => last.end = one.part.end,
            _ => parts.push(one.part.clone()),
        }
    }
    parts
}

struct Mapping<'a> {
    part: Range<usize>,
    permissions: &'a str,
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
        // Behind its offset.
        let file = (words.nth(1)?, words.next()?);
        (file.1 != "0").then_some(Self { part, permissions, file })
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
        assert_eq!(clean_parts(maps, 0x3_0000), vec![0x1_0000..0x5_0000]);
        assert_eq!(clean_parts(maps, 0x5_8800), [], "that is no code");
        assert_eq!(clean_parts(maps, 0x7_f000), [], "nor of any file");
        assert_eq!(clean_parts("nonsense\n", 0), []);
    }

    #[test]
    fn a_program_goes_on_without_its_pages() {
        let maps = fs::read_to_string("/proc/self/maps").expect("it is there");
        let clean = clean_parts(&maps, a_program_goes_on_without_its_pages as *const () as usize);
        let resident = || {
            let smaps = fs::read_to_string("/proc/self/smaps").expect("it is there");
            let (mut is_clean, mut sum) = (false, 0);
            for line in smaps.lines() {
                if let Some(mapping) = Mapping::read(line) {
                    is_clean = clean.iter().any(|part| part.contains(&mapping.part.start));
                } else if let Some(size) = line.strip_prefix("Rss:").filter(|_| is_clean) {
                    sum += size.trim_end_matches("kB").trim().parse::<u64>().expect("a number");
                }
            }
            sum
        };
        let before = resident();
        give_back_program().expect("it can be done");
        let after = resident();
        assert!(after < before, "{before} kB before, {after} kB after");
        assert_eq!(format!("{:?}", [1, 2, 3]), "[1, 2, 3]");
    }
}
