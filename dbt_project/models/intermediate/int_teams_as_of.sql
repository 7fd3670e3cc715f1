{{ newest_as_of(ref('int_teams_versioned'), 'team_id') }}
