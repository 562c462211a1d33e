//! How many deliveries are on their way at once: half of the lane's slots, so that endpoints that do not
//! answer leave the other half to everybody else's work; and of these half for one endpoint, so that a
//! slow one leaves room for the others. Of this process alone: what does not fit waits in the queue.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use uuid::Uuid;

pub struct Places {
    max: usize,
    endpoint_max: usize,
    taken: Mutex<HashMap<Uuid, usize>>,
}

/// A delivery that is on its way.
pub struct Place {
    places: Arc<Places>,
    endpoint_id: Uuid,
}

impl Places {
    pub fn among(slots: usize) -> Places {
        let max = (slots / 2).max(1);
        Places {
            max,
            endpoint_max: max.div_ceil(2),
            taken: Mutex::default(),
        }
    }

    pub fn take(places: &Arc<Places>, endpoint_id: Uuid) -> Option<Place> {
        let mut taken = places.taken();
        let all: usize = taken.values().sum();
        let own = taken.get(&endpoint_id).copied().unwrap_or_default();
        if all >= places.max || own >= places.endpoint_max {
            return None;
        }
        taken.insert(endpoint_id, own + 1);
        Some(Place {
            places: places.clone(),
            endpoint_id,
        })
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, usize>> {
        self.taken
            .lock()
            .expect("the lock is never held across a panic")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(own) = taken.get_mut(&self.endpoint_id) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.endpoint_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_endpoint_takes_half_of_the_places_and_all_of_them_half_of_the_lane() {
        let places = Arc::new(Places::among(16));
        let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
        let take = |id| Places::take(&places, id);

        let of_a: Vec<Place> = std::iter::from_fn(|| take(a)).collect();
        assert_eq!(of_a.len(), 4);
        let of_b: Vec<Place> = std::iter::from_fn(|| take(b)).collect();
        assert_eq!(of_b.len(), 4);
        assert!(take(c).is_none(), "the rest of the lane is for other work");

        drop(of_a);
        assert!(take(c).is_some());
        assert!(take(b).is_none());
        drop(of_b);
        assert!(places.taken().is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn the_smallest_lane_has_a_place() {
        let places = Arc::new(Places::among(1));
        assert!(Places::take(&places, Uuid::nil()).is_some());
    }
}
