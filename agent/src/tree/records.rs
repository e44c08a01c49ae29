//! pax extended header records: `"LENGTH KEY=VALUE\n"`, LENGTH counting itself. Values are any bytes.

use super::numbers::get_decimal;

/// Appends one record.
pub fn append_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The blank, the equals sign and the line feed.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Takes the first record off `bytes`: key and value. `None` when it is malformed.
pub fn next_record<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let blank = bytes.iter().take(20).position(|&byte| byte == b' ')?;
    let length = usize::try_from(get_decimal(&bytes[..blank])?).ok()?;
    let record = bytes.get(blank + 1..length)?;
    let (line_feed, record) = record.split_last()?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    if *line_feed != b'\n' || equals == 0 {
        return None;
    }
    *bytes = &bytes[length..];
    Some((&record[..equals], &record[equals + 1..]))
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_every_length_come_back() {
        for length in (0..300).chain([979, 980, 981, 982, 983, 984, 9990]) {
            let value = vec![b'='; length];
            let mut bytes = Vec::new();
            append_record(&mut bytes, b"k", &value);
            append_record(&mut bytes, b"path", b"\xff\n");
            let mut rest = &bytes[..];
            assert_eq!(next_record(&mut rest), Some((&b"k"[..], &value[..])));
            assert_eq!(next_record(&mut rest), Some((&b"path"[..], &b"\xff\n"[..])));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn next_record_refuses_malformed_ones() {
        for bad in
            [&b"5 a=b"[..], b"99 a=b\n", b"6 =ab\n", b"6 abc\n", b"a=b\n", b"0 a=b\n", b" 5=b\n", b"3 a=b\n", b""]
        {
            assert_eq!(next_record(&mut &*bad), None, "{bad:?}");
        }
    }
}
