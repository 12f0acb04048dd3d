use super::RequestId;

#[test]
fn an_id_is_hexadecimal_of_a_fixed_width_as_long_as_that_suffices() {
    for (worker, number) in
        [(0, 0), (1, 15), (0x0123_4567_89ab_cdef, 0xffff_ffff), (u64::MAX, 1 << 32), (7, u64::MAX)]
    {
        let id = RequestId(worker, number);
        assert_eq!(id.to_string(), format!("{worker:016x}{number:08x}"));
    }
}
