{{ newest_as_of(ref('int_agents_versioned'), 'agent_id') }}
