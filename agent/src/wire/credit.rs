//! Credit of one channel of one stream, as its sender and as its receiver count it (section 3).

use super::{Violation, WINDOW};

/// A receiver returns credit in lumps of at least this many bytes, or half of a smaller window. As it is less than the
/// window, a sender can always go on with what was not returned yet.
pub const CREDIT_LUMP: u32 = 65_536;
/// Credit above this is a violation.
const MAX_CREDIT: u32 = 1 << 31;

/// What this side may still send.
#[derive(Clone, Copy, Debug)]
pub struct SendCredit(u32);

impl Default for SendCredit {
    fn default() -> Self {
        SendCredit(WINDOW)
    }
}

impl SendCredit {
    /// Credit of a channel that starts with another window than `WINDOW`.
    pub fn new(window: u32) -> Self {
        SendCredit(window)
    }

    /// Bytes that may be sent now.
    pub fn available(self) -> usize {
        self.0 as usize
    }

    /// Counts `bytes` as sent; at most `available()`.
    pub fn spend(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.available());
        self.0 = self.0.saturating_sub(bytes as u32);
    }

    /// Adds what the receiver granted.
    pub fn grant(&mut self, bytes: u32) -> Result<(), Violation> {
        match self.0.checked_add(bytes) {
            Some(sum) if sum <= MAX_CREDIT => {
                self.0 = sum;
                Ok(())
            }
            _ => Err(Violation::Rule("credit above 2^31")),
        }
    }
}

/// What the other side may still send, and what it is owed.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveWindow {
    left: u32,
    owed: u32,
    window: u32,
}

impl Default for ReceiveWindow {
    fn default() -> Self {
        ReceiveWindow::new(WINDOW)
    }
}

impl ReceiveWindow {
    /// A window of `window` bytes.
    pub fn new(window: u32) -> Self {
        ReceiveWindow { left: window, owed: 0, window }
    }

    /// Counts `bytes` as received; a violation if the sender had no credit for them.
    pub fn receive(&mut self, bytes: usize) -> Result<(), Violation> {
        let left = u32::try_from(bytes).ok().and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.ok_or(Violation::Rule("DATA beyond the credit"))?;
        Ok(())
    }

    /// Counts `bytes`, received earlier, as consumed. Returns the credit to send now, if it is worth a frame.
    pub fn consume(&mut self, bytes: usize) -> Option<u32> {
        self.owed += bytes as u32;
        debug_assert!(self.left + self.owed <= self.window);
        if self.owed < CREDIT_LUMP.min(self.window / 2) {
            return None;
        }
        let lump = std::mem::take(&mut self.owed);
        self.left += lump;
        Some(lump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_credit_starts_with_the_window_and_goes_down_and_up() {
        let mut credit = SendCredit::default();
        credit.spend(200_000);
        assert_eq!(credit.available(), 62_144);
        credit.grant(65_536).expect("within the limit");
        assert_eq!(credit.available(), 127_680);
    }

    #[test]
    fn grant_refuses_more_than_two_to_the_31() {
        let mut credit = SendCredit::default();
        assert!(credit.grant(MAX_CREDIT - WINDOW).is_ok());
        assert!(credit.grant(1).is_err());
        assert!(credit.grant(u32::MAX).is_err());
        assert_eq!(credit.available(), MAX_CREDIT as usize);
    }

    #[test]
    fn receive_refuses_one_byte_more_than_the_window() {
        let mut window = ReceiveWindow::default();
        window.receive(WINDOW as usize).expect("the whole window");
        assert!(window.receive(1).is_err());
    }

    #[test]
    fn a_small_window_is_returned_before_it_is_empty_for_good() {
        let mut window = ReceiveWindow::new(8192);
        window.receive(8192).expect("the whole window");
        assert!(window.receive(1).is_err());
        assert_eq!(window.consume(4095), None);
        assert_eq!(window.consume(1), Some(4096));
        assert_eq!(window.consume(4096), Some(4096));
    }

    #[test]
    fn consume_returns_lumps_and_never_loses_a_byte() {
        let mut window = ReceiveWindow::default();
        let (mut sent, mut returned) = (0u64, 0u64);
        for step in 0..10_000 {
            let bytes = 1 + (step * 7919) % 50_000;
            window.receive(bytes).expect("credit was returned in time");
            sent += bytes as u64;
            if let Some(lump) = window.consume(bytes) {
                assert!(lump >= CREDIT_LUMP);
                returned += u64::from(lump);
            }
            assert!(sent - returned < u64::from(CREDIT_LUMP));
        }
    }
}
