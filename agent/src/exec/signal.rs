//! Signal names and numbers (signal(7), x86 and Arm). Pure.

use rustix::process::Signal;

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// The signal of this name, written without `SIG`.
pub fn signal_from_name(name: &str) -> Option<Signal> {
    let index = NAMES.iter().position(|known| *known == name)?;
    Signal::from_named_raw(index as i32 + 1)
}

/// The name of a signal number without `SIG`; a real-time signal is its number.
pub fn signal_name(number: i32) -> String {
    usize::try_from(number - 1)
        .ok()
        .and_then(|index| NAMES.get(index))
        .map_or_else(|| number.to_string(), |name| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree_with_the_kernel() {
        for (name, number) in [("HUP", 1), ("KILL", 9), ("TERM", 15), ("WINCH", 28), ("SYS", 31)] {
            assert_eq!(signal_from_name(name).map(Signal::as_raw), Some(number));
            assert_eq!(signal_name(number), name);
        }
        for name in ["", "SIGTERM", "term", "NOPE"] {
            assert!(signal_from_name(name).is_none(), "{name}");
        }
        assert_eq!(signal_name(40), "40");
    }
}
