//! Kernel modules, in the order that the host has written down.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::system::finit_module;

use crate::console;
use crate::failure::errno_words;
use crate::files::read_line;

const ORDER: &str = "/modules/order";

/// Modules that are inserted only where the kernel command line has their word.
const ON_DEMAND: [(&str, &str); 1] = [("banger.tun", "/modules/tun.ko")];

/// Inserts each module named in `/modules/order`. One that fails is reported and the others go on: the kernel may have it
/// built in, or the machine may not need it.
pub fn load_modules(cmdline: &str) {
    let order = read_line(ORDER);
    let always = order.lines().map(str::trim).filter(|line| !line.is_empty());
    let asked = ON_DEMAND.iter().filter(|(word, _)| cmdline.split_ascii_whitespace().any(|one| one == *word));
    for path in always.chain(asked.map(|(_, path)| *path)) {
        let result =
            open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).and_then(|file| finit_module(&file, c"", 0));
        match result {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => console::say(&format!("module {path}: {}", errno_words(errno.into()))),
        }
    }
}
