package store

// Receive does what a message of another node says. It keeps nothing of m. An
// error says why a copy, or a job that was given, was not taken: ErrPaused,
// ErrFull or ErrTooManyQueues.
func (s *Shard) Receive(now int64, from uint16, m *Message, fx *Effects) error {
	if !s.agree(now, from, m, fx) {
		return nil
	}
	switch m.Kind {
	case MsgReplJob:
		err := s.hold(now, from, m, fx)
		if err != nil {
			s.Refuse(now, from, m, fx)
		}
		return err
	case MsgGotJob:
		s.got(now, from, m, fx)
	case MsgEnqueue:
		s.enqueueAt(now, m, fx)
	case MsgWillQueue:
		s.willQueue(now, from, m, fx)
	case MsgQueued, MsgLeased, MsgWorking:
		s.elsewhere(now, from, m, fx)
	case MsgSetAck:
		s.setAck(now, from, m, fx)
	case MsgGotAck:
		s.gotAck(now, from, m, fx)
	case MsgDelJob:
		s.forgetJob(now, &m.ID, fx)
	case MsgDropped:
		s.dropped(now, from, m, fx)
	case MsgHolders:
		if h := s.index.find(&m.ID); h != 0 {
			s.hearHolders(now, h, m, fx)
		}
	case MsgNeedJobs:
		s.give(now, from, m, fx)
	case MsgYourJob:
		err := s.take(now, from, m, fx)
		if err != nil {
			s.Refuse(now, from, m, fx)
		}
		return err
	case MsgRefused:
		s.refused(now, from, m, fx)
	case MsgFate:
		s.fate(now, from, m, fx)
	case MsgGotFate:
		s.gotFate(now, from, m, fx)
	case MsgPause:
		return s.SetPause(now, m.Queue, Pause(m.Count)&(PauseIn|PauseOut), false, fx)
	}
	return nil
}

// Hash returns by which hash16 the shard that a message concerns is found.
func (m *Message) Hash() uint16 {
	if m.Kind == MsgNeedJobs || m.Kind == MsgPause || m.Kind == MsgPurge {
		return Hash16(m.Queue)
	}
	return m.ID.Hash()
}
