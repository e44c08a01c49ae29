//! Trees of files as tar streams, both ways, and single files in pieces: no program of the image is run for it.
//!
//! The format is POSIX pax (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html), sparse files as GNU tar's
//! format 1.0 (https://www.gnu.org/software/tar/manual/html_node/PAX-1.html), extended attributes as `SCHILY.xattr.` records.

mod attributes;
mod change;
mod content;
mod file_in;
mod file_out;
mod linked;
mod member;
mod numbers;
mod parser;
mod place;
mod put;
mod records;
mod roots;
mod scan;
mod sparse;
mod splice;
mod stat;
mod tree_in;
mod tree_out;
mod walk;

pub use change::{remove, rename};
pub use file_out::FileOut;
pub use place::check_name;
pub use put::Put;
pub use scan::Scan;
pub use splice::Splice;
pub use stat::stat;
pub use tree_in::TreeIn;
pub use tree_out::TreeOut;

/// Bytes of a tar block.
const BLOCK: usize = 512;

/// Zero bytes that fill the last block of `size` bytes.
fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}
