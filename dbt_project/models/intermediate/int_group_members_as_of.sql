{{ newest_as_of(ref('int_group_members_versioned'), 'group_id, user_id') }}
