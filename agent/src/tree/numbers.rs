//! Numbers in tar headers: octal text, or base 256 where the first bit is set (GNU).

/// Writes `value` as octal digits that fill `field` but for its last byte, which is NUL; false if it does not fit.
pub fn put_octal(field: &mut [u8], value: u64) -> bool {
    let Some((last, digits)) = field.split_last_mut() else {
        return false;
    };
    *last = 0;
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest & 7) as u8;
        rest >>= 3;
    }
    rest == 0
}

/// Reads octal text between blanks, or base 256. `None` for anything else, a negative number, or one above 2^63 - 1.
pub fn get_number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        if first & 0x7f != 0 {
            return None;
        }
        let value = rest.iter().try_fold(0u64, |sum, &byte| sum.checked_mul(256)?.checked_add(u64::from(byte)))?;
        return i64::try_from(value).ok().map(|_| value);
    }
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    let digits = field[..end].trim_ascii();
    digits.iter().try_fold(0u64, |sum, &byte| match byte {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// Reads decimal digits, at least one.
pub fn get_decimal(text: &[u8]) -> Option<u64> {
    let value = text.iter().try_fold(0u64, |sum, &byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })?;
    (!text.is_empty() && value <= i64::MAX as u64).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were_written() {
        let mut field = [0; 12];
        for value in [0, 7, 8, 0o777, (1 << 33) - 1] {
            assert!(put_octal(&mut field, value));
            assert_eq!(get_number(&field), Some(value));
        }
        assert!(!put_octal(&mut field, 1 << 33));
        assert_eq!(get_number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]), Some(0x2_0000_0001));
    }

    #[test]
    fn get_number_refuses_what_is_none() {
        for bad in [&b"12x"[..], b"9", b"-1", &[0xff; 12], &[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(get_number(bad), None, "{bad:?}");
        }
        assert_eq!(get_number(b"  17 \0"), Some(0o17));
        assert_eq!((get_decimal(b""), get_decimal(b"1a"), get_decimal(b"90")), (None, None, Some(90)));
    }
}
