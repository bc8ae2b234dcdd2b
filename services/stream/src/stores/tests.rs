use super::*;
use crate::store::{Budget, Changes, Store};

#[test]
fn open_stores_are_counted_together_and_closed_ones_are_not() {
    let (stores, registry, dir) = (Stores::default(), Registry::new(), tempfile::tempdir().unwrap());
    stores.show(&registry).unwrap();
    let shown = || -> BTreeMap<String, i64> {
        let value = |family: &MetricFamily| family.get_metric()[0].get_gauge().get_value() as i64;
        registry.gather().iter().map(|family| (family.name().to_owned(), value(family))).collect()
    };
    assert_eq!(shown().len(), QUESTIONS.len() + 1);
    assert!(shown().values().all(|value| *value == 0));

    let budget = Budget::new(8 << 20, 8 << 20, 0).shown_in(&stores);
    let mut open: Vec<Store> = ["0", "1"].map(|name| Store::open(&dir.path().join(name), &budget).unwrap()).into();
    for (number, store) in open.iter().enumerate() {
        // Two files in the first level of one, one in that of the other.
        for round in 0..=number {
            let mut changes = Changes::default();
            (0..100).for_each(|key| changes.put_row(format!("{round}-{key}").as_bytes(), 1, &[b'v'; 100]));
            store.write(changes).unwrap();
            store.flush().unwrap();
        }
    }
    let both = shown();
    assert_eq!(both["cascade_rocksdb_keys"], 300);
    assert_eq!(both["cascade_rocksdb_level0_files"], 2);
    assert!(both["cascade_rocksdb_live_data_bytes"] > 0 && both["cascade_rocksdb_block_cache_bytes"] > 0, "{both:?}");
    assert_eq!(both["cascade_rocksdb_writes_stopped"] + both["cascade_rocksdb_delayed_write_bytes_per_second"], 0);

    // Nobody else holds it: it can be opened anew at once.
    let last = open.pop().unwrap().wipe(&budget).unwrap();
    assert_eq!(shown()["cascade_rocksdb_keys"], 100);
    drop((last, open));
    assert_eq!(shown()["cascade_rocksdb_keys"], 0);
}
