"""Ops in every kind of expression and statement that some version of Python compiles otherwise than another.

Read by a test that compares the sites of its ops across versions; how it is written is what is tested.
"""

# ruff: noqa
# mypy: ignore-errors
# fmt: off

from mmrace import runtime as rt

class Box(rt.Struct):
    x = rt.shared(0)
    y = rt.shared(0)
    words = rt.words()
    count = rt.refcount()
    mutex = rt.mutex()
    spin = rt.spinlock()

def one(box, i):
    return box.words.read(i)

def helper_comp(box):
    return [one(box, i) for i in range(2)]

def lists(box):
    return [box.x for _ in range(2)] + [box.x + box.y for _ in range(1)]

def sets(box):
    return {box.x + i for i in range(2) if box.y == 0}

def dicts(box):
    return {box.x + i: box.words.read(i) for i in range(2)}

def nested(box):
    return [[box.words.read((i + j) % 4) for i in range(box.x % 4 + 1)] for j in [box.y for _ in range(2)]]

def gens(box):
    return sum(box.x for _ in range(2)), list(box.words.read(i) for i in [box.x % 4])

def gen_of_comp(box):
    return list(sum([box.x for _ in range(2)]) for _ in range(2))

def comp_of_gen(box):
    return [sum(box.x for _ in range(2)) for _ in range(2)]

def lambdas(box):
    f = lambda: [box.x for _ in range(1)]
    g = [lambda: box.y for _ in range(2)]
    return f(), [h() for h in g], (lambda b: [one(b, i) for i in range(1)])(box)

def inner(box):
    def deep(i):
        return [box.words.read(i) for _ in range(1)]
    return [deep(i) for i in range(2)]

def body(box):
    class C:
        v = [b.x for b in (box,)]
        w = box.y
    return C.v

def iterables(box):
    return [i for i in [box.x, box.y]], {k: v for k, v in ((box.x, box.y), (1, box.words.read(0)))}

def statements(box):
    box.x += 1
    box.x, box.y = box.y, box.x
    with Manager(box) as m:
        box.y = 2
    for i in range(box.x % 4):
        box.y -= 1
    for i in [box.x for _ in range(2)]:
        box.y = i
    while box.x > 10**9:
        pass
    if (v := box.x) and box.y:
        pass
    s = f"{box.x} {box.y!r}"
    assert box.x >= -10**9, box.y
    try:
        raise ValueError(box.x)
    except ValueError as error:
        box.y = 1
    finally:
        box.x = 0
    match box.x:
        case 0 if box.y:
            box.x = 3
    a = box.x if box.y else box.words.read(0)
    b = box.x < box.y < box.words.read(1)
    print_(*[box.x for _ in range(2)], **{"k": box.y})
    box.words.write(
        box.x % 4,
        box.y,
    )
    return (
        box
        .x
    )

def print_(*a, **k):
    pass

class Manager:
    def __init__(self, box):
        self.box = box
    def __enter__(self):
        rt.mutex_lock(self.box.mutex)
        return self
    def __exit__(self, *a):
        rt.mutex_unlock(self.box.mutex)

def generator(box):
    yield box.x
    yield from (box.y for _ in range(2))
    yield [box.x for _ in range(1)]

def consume(box):
    for _ in generator(box):
        box.y
    return [v for v in generator(box)], list(generator(box)), sorted(generator2(box), key=lambda v: box.x + v)

def generator2(box):
    for i in range(2):
        yield box.words.read(i)

def locks(box):
    [rt.spin_lock(box.spin) for _ in range(1)]
    [rt.spin_unlock(box.spin) for _ in range(1)]
    [rt.schedule() for _ in range(2)]
    for _ in rt.until_changed():
        if [box.x for _ in range(1)]:
            break
    [None for _ in rt.until_changed() if box.x or 1][:1] if False else None

def sorts(box):
    return sorted([2, 1], key=lambda v: [box.x for _ in range(v)]), max((box.y, i) for i in range(2)), any([box.x for _ in range(1)]), list(map(lambda i: box.words.read(i), range(2)))

def prop(box):
    return [p.value for p in [Prop(box)]]

class Prop:
    def __init__(self, box):
        self.box = box
    @property
    def value(self):
        return [self.box.x for _ in range(1)]

module = [lambda box: [box.x for _ in range(1)] for _ in range(1)][0]

FUNCTIONS = [helper_comp, lists, sets, dicts, nested, gens, gen_of_comp, comp_of_gen, lambdas, inner, body, iterables, statements, consume, locks, sorts, prop, module]

def actor(box):
    for f in FUNCTIONS:
        f(box)
    [f(box) for f in FUNCTIONS]

def main():
    box = Box("box", words=4)
    box2 = Box("box2", words=4)
    rt.spawn(actor, box, name="a", cpu=1)
    rt.spawn(actor, box2, name="b", cpu=2)
    rt.join_others()
