use super::*;

fn stored(answer: Answer, room: usize) -> (Vec<u8>, io::Result<socklen_t>) {
    let mut value = vec![0xaa; room];
    let mut len = socklen_t::try_from(room).unwrap();
    // SAFETY: both point to values of ours.
    let result = unsafe { answer.store(value.as_mut_ptr().cast(), &raw mut len) };
    (value, result.map(|()| len))
}

#[test]
fn credentials_are_our_own() {
    let answer = of_connection(SOL_SOCKET, SO_PEERCRED).unwrap();
    let (bytes, len) = stored(answer, 12);
    assert_eq!(len.unwrap(), 12);
    assert_eq!(bytes[..4], getpid().as_raw().to_ne_bytes());
    assert_eq!(bytes[4..8], geteuid().as_raw().to_ne_bytes());
    assert_eq!(bytes[8..], getegid().as_raw().to_ne_bytes());
}

#[test]
fn a_value_is_cut_off_where_there_is_less_room() {
    let (bytes, len) = stored(Answer::Number(0x0102_0304), 2);
    assert_eq!(len.unwrap(), 2);
    assert_eq!(bytes, 0x0102_0304_i32.to_ne_bytes()[..2]);
    let (bytes, len) = stored(Answer::Number(7), 6);
    assert_eq!(len.unwrap(), 4);
    assert_eq!(bytes[4..], [0xaa, 0xaa]);
}

#[test]
fn null_is_a_fault() {
    let mut len: socklen_t = 4;
    // SAFETY: null is allowed.
    let result = unsafe { Answer::Number(1).store(ptr::null_mut(), &raw mut len) };
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EFAULT));
}

#[test]
fn a_negative_length_is_invalid() {
    let (mut value, mut len) = (0, socklen_t::MAX);
    // SAFETY: nothing is written.
    let result =
        unsafe { Answer::Number(1).store((&raw mut value).cast::<c_int>().cast(), &raw mut len) };
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn what_they_say_they_are() {
    assert_eq!(
        of_connection(SOL_SOCKET, SO_ACCEPTCONN).unwrap(),
        Answer::Number(0)
    );
    assert_eq!(
        of_listener(SOL_SOCKET, SO_ACCEPTCONN).unwrap(),
        Answer::Number(1)
    );
    for of in [of_connection, of_listener] {
        assert_eq!(
            of(SOL_SOCKET, SO_TYPE).unwrap(),
            Answer::Number(SOCK_STREAM)
        );
        assert_eq!(of(SOL_SOCKET, SO_DOMAIN).unwrap(), Answer::Number(AF_UNIX));
        assert_eq!(of(SOL_SOCKET, SO_ERROR).unwrap(), Answer::Number(0));
        let refused = of(SOL_SOCKET, libc::SO_PEERSEC).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENOPROTOOPT));
        let refused = of(libc::IPPROTO_TCP, libc::TCP_NODELAY).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EOPNOTSUPP));
    }
}
