{{ newest_as_of(ref('int_groups_versioned'), 'group_id') }}
